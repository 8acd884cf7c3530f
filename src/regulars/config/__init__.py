"""What the operator decides: settings as frozen values, the file's schema, one loader."""
