"""The one error of the harness."""


class BenchError(Exception):
    """Something broke, so the figures mean nothing. A missed bar is not an error."""
