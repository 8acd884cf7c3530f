"""The form of an id: which of the usual schemes made it, or its pattern where none did."""

import re
from typing import Final

PATTERN_CHARS_MAX: Final = 40
TURNS_MIN: Final = 4
"""Changes between letters and digits: many in random strings, few in names."""

_SCHEMES: Final = re.compile(
    r"(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    r"|(?P<number>[0-9]+)"
    r"|(?P<hex>(?=[a-z]*[0-9])(?:[0-9a-f]{2}){6,64})"
    r"|(?P<ulid>[0-7][0-9a-hjkmnp-tv-z]{25})",
    re.IGNORECASE | re.ASCII,
)
_PREFIXED: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9]{0,15}(?:[-_.:|/][A-Za-z]{1,16})?)([-_.:|/#])(.+)"
)
_OPAQUE: Final = re.compile(
    r"(?=[A-Za-z0-9_=+/-]*[0-9])(?=[^a-z]*[a-z])[A-Za-z0-9_=+/-]{12,}", re.ASCII
)
_TURNS: Final = re.compile(r"[0-9](?=[A-Za-z_=+/-])|[A-Za-z_=+/-](?=[0-9])")
_RUNS: Final = re.compile(r"([0-9]+)|([^\W\d_]+)|(\s+)")


def form_of(name: str) -> str:
    """Return an id's form: `uuid`, `number`, `hex`, `user_number`, `word.word`, `opaque` and so on."""
    scheme = _scheme(name)
    if scheme is not None:
        return scheme
    prefixed = _PREFIXED.fullmatch(name)
    if prefixed is not None:
        scheme = _scheme(prefixed[3])
        if scheme is not None:
            return f"{prefixed[1]}{prefixed[2]}{scheme}"
    if _OPAQUE.fullmatch(name) and len(_TURNS.findall(name)) >= TURNS_MIN:
        return "opaque"
    return _RUNS.sub(_run, name[:PATTERN_CHARS_MAX])


def folded(name: str) -> str:
    """Return what two ids share that differ only by case or white space."""
    return "".join(name.casefold().split())


def _scheme(text: str) -> str | None:
    found = _SCHEMES.fullmatch(text)
    return None if found is None else found.lastgroup


def _run(found: re.Match[str]) -> str:
    if found[1]:
        return "number"
    return "word" if found[2] else " "
