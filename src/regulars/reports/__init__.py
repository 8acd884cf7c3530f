"""What can be asked of the ledger. Pure: rows and chance are arguments."""
