"""What of an upstream's own words may be kept in a row: names, bounded and printable. Pure.

A provider that writes something else there (a text, a random one each time) would fill the ledger.
"""

from typing import Final

ID_CHARS_MAX: Final = 256
NAME_CHARS_MAX: Final = 64
"""Of a service tier, of a reason why an answer ended."""


def kept_id(word: object) -> str | None:
    """Return the id of an answer; None where there is none that can be kept."""
    return _kept(word, ID_CHARS_MAX)


def kept_name(word: object) -> str | None:
    """Return a name; None where it is none that can be kept."""
    return _kept(word, NAME_CHARS_MAX)


def _kept(word: object, chars_max: int) -> str | None:
    if isinstance(word, str) and 0 < len(word) <= chars_max and word.isprintable():
        return word
    return None
