"""Which people a ranking needs to look at closely, so that all figures are asked of few.

What rollups know is ranked by itself first: sorting everyone by one figure is a third of the work
of sorting everyone with all figures, and exact. What only rows know (latencies, sessions, speed)
would have every row read; where those are too many, the people with most requests are ranked, as
many as have a bounded number of rows, and the answer says so. Percentiles of the few requests of
anybody else say little.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from regulars.reports.schema import Order, ReportQuery
from regulars.stores.sqlite.columns import needs_rows
from regulars.stores.sqlite.compile import Wheres
from regulars.stores.sqlite.names import NOBODY_ID

RANKED_MAX: Final = 1000
"""Up to so many people are ranked by one figure first and asked for the others afterwards."""


@dataclass(frozen=True, slots=True)
class RankBounds:
    """How many rows are read for figures that only rows know.

    Up to `exact` of them are all read, in a second or two; of more than those so many as
    `ranked` of the people with most requests, since theirs lie all over the file.
    """

    exact: int = 500_000
    ranked: int = 20_000


Select = Callable[[ReportQuery, Wheres], Sequence[tuple[Any, ...]]]
"""Asks a question; each row ends with its group's numbers (the bucket first) and its metrics."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Conditions that name the people to look at; `cut` says who else was not looked at."""

    wheres: Wheres
    cut: str | None = None


def ranked_first(
    query: ReportQuery, wheres: Wheres, bounds: RankBounds, select: Select
) -> Ranked | None:
    """Return whom to look at; None where one pass over everybody is as good."""
    names = tuple(each.name for each in query.order) or query.metrics[:1]
    plain = query.dimensions == ("user",) and query.step is None and wheres.user_ids is None
    by_metric = all(name in query.metrics for name in names)
    if not (plain and by_metric and query.limit <= RANKED_MAX):
        return None
    if needs_rows(replace(query, metrics=names)):
        return _busiest(query, wheres, bounds, select)
    if len(query.metrics) == len(names):
        return None
    top = select(replace(query, metrics=names), wheres)
    return _of(wheres, [row[-len(names) - 1] for row in top])


def _busiest(
    query: ReportQuery, wheres: Wheres, bounds: RankBounds, select: Select
) -> Ranked | None:
    counted = replace(query, metrics=("requests",), order=(Order("requests"),), cursor=None)
    if needs_rows(counted):
        return None
    (total,) = (row[-1] for row in select(replace(counted, dimensions=(), limit=1), wheres))
    if total <= bounds.exact:
        return None
    ids: list[int] = []
    rows = 0
    for row in select(replace(counted, limit=RANKED_MAX), wheres):
        rows += row[-1]
        if ids and rows > bounds.ranked:
            break
        ids.append(row[-2])
    return _of(
        wheres,
        ids,
        f"only the {len(ids) - ids.count(NOBODY_ID)} users with most requests are ranked: there are {total} requests, "
        f"and more than {bounds.exact} are not read for this figure; ask for a shorter time",
    )


def _of(wheres: Wheres, ids: Sequence[int], cut: str | None = None) -> Ranked | None:
    if NOBODY_ID in ids:
        if cut is None:
            return None
        # Rows that name nobody are found by no user's tree.
        ids = [number for number in ids if number != NOBODY_ID]
        cut = f"{cut}; requests that name nobody are left out"
    values = {**wheres.values, "user_ids": json.dumps(ids)}
    return Ranked(replace(wheres, values=values, user_ids=ids), cut)
