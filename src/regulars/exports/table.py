"""What every export format writes: named, typed columns, and pages of rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "time", "usd", "count", "number", "flag"]
"""Cells: `time` is microseconds since 1970, `usd` whole nano-USD, `number` any real number; None
is unknown or none. Only `text` comes from strangers."""

Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `extra`: not in the CSV, whose columns others fixed."""

    name: str
    kind: Kind
    extra: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by pages; who reads it closes `pages` when leaving early."""

    columns: tuple[Column, ...]
    pages: Iterator[Sequence[Row]]


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
