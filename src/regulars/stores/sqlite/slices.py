"""Where a time range's figures come from: rollups for its whole units, rows for its edges.

The rule that keeps reports both exact and quick: a half-open range [from, to) is cut at the
first and last boundary of the rollup's unit that lie inside it. The units between come from
the rollup, the ragged ends before and after from the ledger's rows. A range without a whole
unit, and any question finer than the rollup, is answered from rows altogether. `daily` knows
users; `hourly` does not, but is far smaller, so it serves every question that names no user.

Where figures only add up, a ragged end may also be a whole unit less what lies outside: of eight
days without the first, that is one block and one day in place of three pairs and a day.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from regulars.stores.sqlite.rollups import BLOCK_DAYS, DAY_US, HOUR_US, PAIR_DAYS, QUARTER_US

Rollup = Literal["hourly", "quarters", "daily", "days", "pairs", "blocks"]
Table = Literal["generation", "by_user", "tail", "billed", Rollup]
End = Literal["begin", "end"]

UNIT_US: Final[dict[Table, int]] = {
    "generation": 1,
    "by_user": 1,
    "tail": 1,
    "hourly": HOUR_US,
    "quarters": QUARTER_US,
    "daily": DAY_US,
    "days": DAY_US,
    "pairs": PAIR_DAYS * DAY_US,
    "blocks": BLOCK_DAYS * DAY_US,
}
TIME_COLUMN: Final[dict[str, str]] = {
    "hourly": "hour",
    "quarters": "quarter",
    "daily": "day",
    "days": "day",
    "pairs": "pair",
    "blocks": "block",
}

ROWS: Final[dict[str, str]] = {
    "generation": "generation",
    "by_user": "by_user CROSS JOIN generation USING (row)",
    "tail": "tail CROSS JOIN generation USING (row)",
    "billed": "billed",
}
"""Where single rows are read from: all of them, one user's folded ones, those not folded yet;
and, with the columns that rollups know, what of them providers billed to keys of our own."""

_LEVELS: Final[dict[Table, tuple[Rollup, ...]]] = {
    "hourly": ("hourly", "quarters"),
    "daily": ("daily",),
    "blocks": ("blocks", "pairs", "days"),
}
_WORK_A_UNIT: Final[dict[str, float]] = {"days": 0.8, "generation": 5.0 / DAY_US}
"""At 1.6 requests a day of each user; a row of `generation` is three times as wide."""
_FOLDED: Final = ("quarters", "daily", "days", "pairs", "blocks")


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a time range, in the table's own unit since 1970; half-open, None is endless."""

    table: Table
    start: int | None
    end: int | None
    sign: Literal[1, -1] = 1
    """-1: this is to be subtracted again."""


def slices(
    table: Table,
    from_us: int | None,
    to_us: int | None,
    *,
    one_user: bool,
    less: Collection[End] = (),
) -> list[Slice]:
    """Cut [from_us, to_us) into slices that cover each row exactly once, signs counted.

    `less` names the ends that may be found by subtracting. At the begin, a row that is
    subtracted is earlier than all that are left.
    """
    rows: Table = "by_user" if one_user else "generation"
    parts = _cut((*_LEVELS.get(table, ()), rows), from_us, to_us, less)
    if one_user:
        # Neither his rollups nor his rows have what is not folded.
        parts.append(Slice("tail", from_us, to_us))
        return parts
    return parts + [_tail(part) for part in parts if part.table in _FOLDED]


def _tail(part: Slice) -> Slice:
    """Return what a part of a folded rollup lacks yet."""
    unit = UNIT_US[part.table]
    return Slice(
        "tail",
        None if part.start is None else part.start * unit,
        None if part.end is None else part.end * unit,
        part.sign,
    )


def _cut(
    levels: tuple[Table, ...], from_us: int | None, to_us: int | None, less: Collection[End] = ()
) -> list[Slice]:
    table, *others = levels
    finer = tuple(others)
    unit = UNIT_US[table]
    first = None if from_us is None else -(-from_us // unit)
    last = None if to_us is None else to_us // unit
    if not finer:
        return [Slice(table, from_us, to_us)]
    if first is not None and last is not None and first >= last:
        return _cut(finer, from_us, to_us)
    ends: list[Slice] = []
    if from_us is not None and first is not None and from_us < first * unit:
        inside = _cut(finer, from_us, first * unit)
        outside = _cut(finer, (first - 1) * unit, from_us)
        if "begin" in less and 1 + _work(outside) < _work(inside):
            first, inside = first - 1, _less(outside)
        ends += inside
    if to_us is not None and last is not None and last * unit < to_us:
        inside = _cut(finer, last * unit, to_us)
        outside = _cut(finer, to_us, (last + 1) * unit)
        if "end" in less and 1 + _work(outside) < _work(inside):
            last, inside = last + 1, _less(outside)
        ends += inside
    return [Slice(table, first, last), *ends]


def _work(parts: Sequence[Slice]) -> float:
    """Estimate the rows to be read, in those of a unit of a rollup by user."""
    return sum(
        _WORK_A_UNIT.get(part.table, 1.0) * (part.end - part.start)
        for part in parts
        if part.start is not None and part.end is not None
    )


def _less(parts: Sequence[Slice]) -> list[Slice]:
    return [replace(part, sign=-1) for part in parts]
