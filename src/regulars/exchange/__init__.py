"""The state of one generation from acceptance to its one row."""
