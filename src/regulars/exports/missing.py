"""Why an export cannot be made, and what helps."""

from collections.abc import Generator
from contextlib import contextmanager


class ExportError(Exception):
    """This export cannot be made here; the message says why and what helps."""


@contextmanager
def needs(extra: str, package: str) -> Generator[None]:
    """Say which extra is missing where the import inside fails."""
    try:
        yield
    except ImportError as exc:
        raise ExportError(
            f"format: {extra!r} needs the package {package!r}, which is not installed here; "
            f"install regulars[{extra}], or ask for csv or jsonl"
        ) from exc
