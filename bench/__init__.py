"""What Regulars costs beside nginx passing the same bytes: `python -m bench`."""
