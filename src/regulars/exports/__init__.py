"""Exports: the rows of any question as CSV, JSON Lines, Parquet or PDF, in bounded memory."""
