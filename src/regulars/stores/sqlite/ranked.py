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

from regulars.reports.schema import SOMEBODY, Order, ReportQuery
from regulars.reports.windows import Bucket
from regulars.stores.sqlite.columns import needs_rows
from regulars.stores.sqlite.compile import Wheres
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.rollups import BLOCK_DAYS, DAY_US

RANKED_MAX: Final = 1000
"""Up to so many people are ranked by one figure first and asked for the others afterwards."""
BUSIEST_MAX: Final = 5_000
"""At most so many of those with most requests are ranked by what only rows know."""
WRONG_CURSOR: Final = "cursor: is not the next_cursor of an answer to this question"
_BLOCK_US: Final = BLOCK_DAYS * DAY_US


@dataclass(frozen=True, slots=True)
class RankBounds:
    """How many rows are read for figures that only rows know.

    Up to `exact` of them are all read, in a second or two; of more than those so many as
    `ranked` of the people with most requests, since theirs lie all over the file. The figures
    that `by_user` has lie together there: `own_exact` take a second, `own_ranked` a tenth.
    """

    exact: int = 500_000
    ranked: int = 15_000
    own_exact: int = 1_000_000
    own_ranked: int = 200_000


@dataclass(frozen=True, slots=True)
class Asking:
    """A ranking's question, its time, and how others are asked in the same snapshot.

    `select` answers one over some time; each row ends with its group's numbers (the bucket first)
    and its metrics.
    """

    query: ReportQuery
    wheres: Wheres
    spans: Sequence[Bucket]
    bounds: RankBounds
    select: Callable[[ReportQuery, Wheres, Sequence[Bucket]], list[tuple[Any, ...]]]

    @property
    def names(self) -> tuple[str, ...]:
        """What is sorted by."""
        return tuple(each.name for each in self.query.order) or self.query.metrics[:1]

    @property
    def ranks_people(self) -> bool:
        """Whether everybody is ranked by metrics, and few of them are wanted."""
        query = self.query
        plain = query.dimensions == ("user",) and query.step is None
        by_metric = all(name in query.metrics for name in self.names)
        few = query.limit <= RANKED_MAX
        return plain and by_metric and few and self.wheres.user_ids is None and bool(self.spans)

    def of(self, query: ReportQuery, wheres: Wheres | None = None) -> list[tuple[Any, ...]]:
        """Answer another question over the same time."""
        return self.select(query, wheres or self.wheres, self.spans)

    def only(self, ids: Sequence[int]) -> Wheres:
        """Return the conditions and one more: only these people."""
        values = {**self.wheres.values, "user_ids": json.dumps(ids)}
        return replace(self.wheres, values=values, user_ids=ids)


@dataclass(frozen=True, slots=True)
class Ranked:
    """Conditions that name the people to look at; `cut` says who else was not looked at."""

    wheres: Wheres
    cut: str | None = None


@dataclass(frozen=True, slots=True)
class Busiest:
    """People by their numbers, those with most requests first; `cut` says why not all."""

    ids: Sequence[int]
    cut: str | None = None


def ranked_first(asked: Asking) -> Ranked | None:
    """Return whom to look at; None where one pass over everybody is as good."""
    query, names, bounds = asked.query, asked.names, asked.bounds
    if not asked.ranks_people:
        return None
    if needs_rows(replace(query, metrics=names)):
        if needs_rows(counting(query)):
            return None
        total = requests_there(asked)
        if total <= bounds.exact:
            return None
        found = busiest(asked, total, exact=bounds.exact, rows=bounds.ranked)
        return Ranked(asked.only(found.ids), found.cut)
    if len(query.metrics) == len(names):
        return None
    top = [row[-len(names) - 1] for row in asked.of(replace(query, metrics=names))]
    return None if NOBODY_ID in top else Ranked(asked.only(top))


def counting(query: ReportQuery) -> ReportQuery:
    """Return the question who made how many requests, the busiest first."""
    return replace(query, metrics=("requests",), order=(Order("requests"),), cursor=None)


def requests_there(asked: Asking) -> int:
    """Count the requests, those that name nobody too: without users a far smaller tree tells."""
    where = tuple(each for each in asked.query.where if each != SOMEBODY)
    query = replace(counting(asked.query), dimensions=(), where=where, limit=1)
    ((*_, total),) = asked.of(query, replace(asked.wheres, named_only=False))
    return total


def busiest(asked: Asking, total: int, *, exact: int, rows: int) -> Busiest:
    """Return as many of the people with most requests as have so many rows of the `total`.

    They are counted by whole blocks of days: the ends of the window take as long again, and
    nobody is busy there alone.
    """
    ids: list[int] = []
    left = float(rows)
    inside = _whole_blocks(asked.spans[0])
    scale = _length_us(asked.spans[0]) / _length_us(inside)
    people = replace(counting(asked.query), limit=BUSIEST_MAX)
    nobody = False
    for row in asked.select(people, asked.wheres, [inside]):
        if row[-2] == NOBODY_ID:
            # Rows that name nobody are found by no user's tree.
            nobody = True
            continue
        left -= row[-1] * scale
        if ids and left < 0:
            break
        ids.append(row[-2])
    return Busiest(
        ids,
        f"only {len(ids)} of the users with most requests are ranked: there are {total} requests, "
        f"and more than {exact} are not read for this figure; ask for a shorter time"
        + ("; requests that name nobody are left out" if nobody else ""),
    )


def everybody(asked: Asking, total: int) -> Busiest:
    """Return all people who were there, with `total` requests."""
    found = asked.of(replace(counting(asked.query), limit=max(total, 1)))
    return Busiest([row[-2] for row in found])


def _whole_blocks(span: Bucket) -> Bucket:
    begin = -(-span.from_us // _BLOCK_US) * _BLOCK_US
    end = span.to_us // _BLOCK_US * _BLOCK_US
    return Bucket(begin, begin, end) if begin < end else span


def _length_us(span: Bucket) -> int:
    return max(span.to_us - span.from_us, 1)
