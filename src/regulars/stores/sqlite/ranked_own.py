"""Ranking people by what `by_user` knows of their rows, or showing it beside what rollups know."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Any, Final

from regulars.reports.schema import ReportError, ReportQuery
from regulars.stores.sqlite.columns import needs_rows
from regulars.stores.sqlite.compile import LEAST
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.own_rows import is_own, own_figures
from regulars.stores.sqlite.places import bound
from regulars.stores.sqlite.ranked import (
    WRONG_CURSOR,
    Asking,
    Busiest,
    busiest,
    everybody,
    requests_there,
)

Row = tuple[Any, ...]
COUNTED: Final = ("requests",)


@dataclass(frozen=True, slots=True)
class OwnRanking:
    """Rows as a SELECT of the question would return them; `cut` says who was not looked at."""

    rows: list[Row]
    cut: str | None = None


def ranked_by_own(
    connection: sqlite3.Connection, asked: Asking, after: Sequence[Any] | None
) -> OwnRanking | None:
    """Answer a ranking of people some of whose figures are those of `by_user`; None: it is another.

    `after` has the sort terms of the row to go on from.
    """
    query, names = asked.query, asked.names
    own = tuple(name for name in query.metrics if is_own(name))
    others = tuple(name for name in query.metrics if name not in own) or COUNTED
    if not (own and len(names) == 1 and asked.ranks_people and _is_plain(asked, others)):
        return None
    look = _Look(connection, asked, own, others)
    if names[0] not in own:
        rows = asked.of(replace(query, metrics=others))
        named = all(row[-len(others) - 1] != NOBODY_ID for row in rows)
        return OwnRanking(look.completed(rows)) if named else None
    total, bounds = requests_there(asked), asked.bounds
    found = (
        everybody(asked, total)
        if total <= bounds.own_exact
        else busiest(asked, total, exact=bounds.own_exact, rows=bounds.own_ranked)
    )
    if NOBODY_ID in found.ids:
        if total <= bounds.exact:
            return None
        found = Busiest(
            [user for user in found.ids if user != NOBODY_ID],
            f"requests that name nobody are left out: there are {total} requests, and more than "
            f"{bounds.exact} are not read for them; ask for a shorter time",
        )
    return OwnRanking(look.ranked(found, names[0], after), found.cut)


def _is_plain(asked: Asking, others: Sequence[str]) -> bool:
    """Tell whether people alone are asked for: `by_user` knows no models."""
    return not asked.wheres.of_rows and not needs_rows(
        replace(asked.query, metrics=tuple(others), order=())
    )


@dataclass(frozen=True, slots=True)
class _Look:
    connection: sqlite3.Connection
    asked: Asking
    own: Sequence[str]
    others: Sequence[str]

    def ranked(self, people: Busiest, name: str, after: Sequence[Any] | None) -> list[Row]:
        """Return the first rows by an own figure, past the one to go on from."""
        query = self.asked.query
        falls = query.order[0].descending if query.order else True
        unknown = LEAST if falls else -LEAST
        sign = -1 if falls else 1
        found = self._figures(people.ids, (name,))

        def place(user: int) -> tuple[Any, int]:
            value = found[user][0] if user in found else None
            return sign * (unknown if value is None else value), user

        last = None if after is None else (sign * _number(after[0]), _number(after[-1]))
        places = (each for each in map(place, people.ids) if last is None or each > last)
        top = nsmallest(query.limit + 1, places)
        kept = self._kept([user for _, user in top])
        rows = [
            (sign * value, 0, user, 0, user, *kept[user]) for value, user in top if user in kept
        ]
        return self.completed(rows)

    def completed(self, rows: Sequence[Row]) -> list[Row]:
        """Put own figures between those of rollups, in the order of the question."""
        found = self._figures([row[-len(self.others) - 1] for row in rows], self.own)
        nothing = [None] * len(self.own)
        answer: list[Row] = []
        for row in rows:
            head, kept = row[: -len(self.others)], row[-len(self.others) :]
            values = dict(zip(self.own, found.get(head[-1], nothing), strict=True))
            values |= dict(zip(self.others, kept, strict=True))
            answer.append((*head, *(values[name] for name in self.asked.query.metrics)))
        return answer

    def _kept(self, ids: Sequence[int]) -> Mapping[int, Sequence[Any]]:
        """Return what rollups know of these people."""
        query = _unsorted(self.asked.query, tuple(self.others), len(ids))
        rows = self.asked.of(query, self.asked.only(ids))
        return {row[-len(self.others) - 1]: row[-len(self.others) :] for row in rows}

    def _figures(self, ids: Sequence[int], names: Sequence[str]) -> dict[int, list[float | None]]:
        span = self.asked.spans[0]
        rows = range(bound(span.from_us), bound(span.to_us))
        return own_figures(self.connection, ids, rows, names)


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise ReportError(WRONG_CURSOR)
    return value


def _unsorted(query: ReportQuery, metrics: tuple[str, ...], limit: int) -> ReportQuery:
    return replace(query, metrics=metrics, order=(), cursor=None, limit=max(limit, 1))
