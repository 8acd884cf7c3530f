"""Which colour a name has: by its hash, so that it keeps it from page to page. Pure.

The stylesheet owns the colours (`.c0` … `.c7`, `.other`, `.nobody`), for light and dark.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

COLOURS: Final = 8
OTHER: Final = "Other"
"""What stores call the groups beyond the largest."""


def colours(names: Iterable[str | None]) -> dict[str | None, str]:
    """Give each name of one chart a colour class; different ones as long as there are enough.

    Names take their own colour in order of their spelling, not of their size, so a chart
    whose ranking changes keeps its colours.
    """
    chosen: dict[str | None, str] = {}
    taken: set[int] = set()
    for name in sorted({name for name in names if name is not None and name != OTHER}):
        slot = _home(name)
        while slot in taken and len(taken) < COLOURS:
            slot = (slot + 1) % COLOURS
        taken.add(slot)
        chosen[name] = f"c{slot}"
    return chosen | {None: "nobody", OTHER: "other"}


def _home(name: str) -> int:
    digest = sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % COLOURS
