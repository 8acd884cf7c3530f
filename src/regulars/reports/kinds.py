"""Of what kind an id is, to compare many: which ids one function may have made, or one person typed.

Kinds are coarser than the forms of `identity.forms`, of which random strings have many.
"""

import re
from typing import Final

MOMENT: Final = "moment"
"""Seconds since 1970, of 2014 to 2033; alone it may be a customer's number."""
NUMBER: Final = "number"
RANDOM: Final = "random of "

_MOMENT: Final = re.compile(r"1[4-9]\d{8}", re.ASCII)
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{6,64}", re.ASCII)
_TURNS: Final = re.compile(r"[0-9](?=[A-Za-z_-])|[A-Za-z_-](?=[0-9])")
_TURNS_MIN: Final = 2
_MADE: Final = re.compile(r"(?:^|[-_.:|/#])(?:uuid|hex|ulid)$")
_COUNTED: Final = re.compile(r"[-_.:|/#]number$")


def kind_of(name: str, form: str) -> str:
    """Return the kind: `random of 21` (characters), `number`, `moment`, or the form."""
    if name.isdecimal():
        return MOMENT if _MOMENT.fullmatch(name) else NUMBER
    if _MADE.search(form) or _COUNTED.search(form) or not _TOKEN.fullmatch(name):
        return form
    return f"{RANDOM}{len(name)}" if len(_TURNS.findall(name)) >= _TURNS_MIN else form


def is_made(kind: str) -> bool:
    """Say whether a program makes ids of this kind, and nobody chooses them for himself."""
    return kind in (MOMENT, NUMBER) or kind.startswith(RANDOM) or _MADE.search(kind) is not None


def is_counted(kind: str) -> bool:
    """Say whether ids of this kind have a number after what all share: `user_7`, not `linus_99`."""
    return _COUNTED.search(kind) is not None


def is_like(name: str, kind: str) -> bool:
    """Say whether an id may be of that kind by chance: some random strings have no digits."""
    if kind.startswith(RANDOM):
        same = len(name) == int(kind.removeprefix(RANDOM))
        return same and _TOKEN.fullmatch(name) is not None
    return kind in (MOMENT, NUMBER) and name.isdecimal()


def is_even(name: str) -> bool:
    """Say whether an id's case is the same all through, or that of a name.

    Random codes of both cases may differ by case only, and be two people's.
    """
    bare = name.strip()
    return bare in (bare.lower(), bare.upper(), bare.title(), bare.capitalize())
