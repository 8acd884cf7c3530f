"""Where a time range's figures come from: rollups for its whole units, rows for its edges.

The rule that keeps reports both exact and quick: a half-open range [from, to) is cut at the
first and last boundary of the rollup's unit that lie inside it. The units between come from
the rollup, the ragged ends before and after from the ledger's rows. A range without a whole
unit, and any question finer than the rollup, is answered from rows altogether. `daily` knows
users; `hourly` does not, but is far smaller, so it serves every question that names no user.
"""

from dataclasses import dataclass
from typing import Final, Literal

from regulars.stores.sqlite.places import PLACE_BITS
from regulars.stores.sqlite.rollups import DAY_US, HOUR_US

Table = Literal["generation", "hourly", "daily"]

UNIT_US: Final[dict[Table, int]] = {"generation": 1, "hourly": HOUR_US, "daily": DAY_US}
TIME_COLUMN: Final[dict[Table, str]] = {
    "generation": f"(row >> {PLACE_BITS})",
    "hourly": "hour",
    "daily": "day",
}


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a time range, in the table's own unit since 1970; half-open, None is endless."""

    table: Table
    start: int | None
    end: int | None


def slices(table: Table, from_us: int | None, to_us: int | None) -> list[Slice]:
    """Cut [from_us, to_us) into slices that cover each row exactly once."""
    unit = UNIT_US[table]
    first = None if from_us is None else -(-from_us // unit)
    last = None if to_us is None else to_us // unit
    if table == "generation" or (first is not None and last is not None and first >= last):
        return [Slice("generation", from_us, to_us)]
    parts = [Slice(table, first, last)]
    if from_us is not None and first is not None and from_us < first * unit:
        parts.append(Slice("generation", from_us, first * unit))
    if to_us is not None and last is not None and last * unit < to_us:
        parts.append(Slice("generation", last * unit, to_us))
    return parts
