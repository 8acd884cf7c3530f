"""What every export format writes: named, typed columns, and pages of rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["text", "time", "usd", "count", "number", "flag"]
"""Cells: `time` is microseconds since 1970, `usd` whole nano-USD, `number` any real number; None
is unknown or none. Only `text` comes from strangers."""

LOOKED_AT: Final = 32
"""So many cells tell whether a column's repeat."""

Page = Sequence[Sequence[Any]]
"""Some rows, by their columns; never without a row."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by pages; who reads it closes `pages` when leaving early."""

    columns: tuple[Column, ...]
    pages: Iterator[Page]
    remarks: list[str] = field(default_factory=list)
    """What the file's end says beside that it is whole; known once all pages are read."""


def written(cells: Sequence[Any], write: Callable[[Any], Any], *, none: Any = None) -> list[Any]:
    """Write each cell; where few differ, each different one once. None is written as `none`."""
    if len(set(cells[:LOOKED_AT])) * 2 > LOOKED_AT:
        return [none if cell is None else write(cell) for cell in cells]
    words = {cell: none if cell is None else write(cell) for cell in set(cells)}
    return [*map(words.__getitem__, cells)]


@dataclass(frozen=True, slots=True)
class About:
    """What the file says of itself: its title, the active filters by name, the time zone."""

    title: str
    filters: tuple[tuple[str, str], ...]
    zone: str
    made_at_us: int

    def words(self) -> str:
        """Write the time zone and the filters on one line."""
        parts = [("time_zone", self.zone), *self.filters]
        return "; ".join(f"{name}={_plain(value)}" for name, value in parts)


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
