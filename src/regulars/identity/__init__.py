"""Who the end user is, and what may stand in an id."""
