"""A page of generations, newest first.

A filter by user walks the rows of that user. One by model, provider or key has no index over
rows, which would cost every write; instead `hourly` tells the hours in which there are any, and
`quarters` where in the hour they are, unless some of the hour's rows are not folded yet.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from regulars.stores.base import Filter
from regulars.stores.sqlite.places import bound, time_at
from regulars.stores.sqlite.query import conditions, user_column
from regulars.stores.sqlite.rollups import HOUR_US, QUARTER_US
from regulars.stores.sqlite.rows import SELECTED
from regulars.stores.sqlite.slices import ROWS, Table

Row = tuple[Any, ...]
Values = dict[str, Any]
_PEOPLE: Final[tuple[Table, ...]] = ("by_user", "tail")


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of each row, its number first, and what fetches the rows of a query."""

    selected: str
    fetch: Callable[[sqlite3.Connection, str, Values], list[Row]]


WHOLE: Final = Reading(SELECTED, lambda on, query, values: on.execute(query, values).fetchall())
"""All columns, as `rows` decodes them."""


def newest(
    connection: sqlite3.Connection,
    where: Filter,
    *,
    last: int | None,
    limit: int,
    reading: Reading = WHOLE,
) -> list[Row]:
    """Return up to `limit` rows from before the row number `last`."""
    values = _values(where, last) | {"limit": limit}

    def fetch(table: Table, values: Values) -> list[Row]:
        query = page_query(where, table, values, selected=reading.selected)
        return reading.fetch(connection, query, values)

    if where.user is not None:
        # A row is folded or not, so none comes twice; its number is its first column.
        both = [row for table in _PEOPLE for row in fetch(table, values)]
        return sorted(both, key=itemgetter(0), reverse=True)[:limit]
    if where.model is None and where.provider is None and where.key_hash is None:
        return fetch("generation", values)
    return _by_hours(connection, where, values, fetch)


def _by_hours(
    connection: sqlite3.Connection,
    where: Filter,
    values: Values,
    fetch: Callable[[Table, Values], list[Row]],
) -> list[Row]:
    found: list[Row] = []
    limit: int = values["limit"]
    hours = connection.execute(hours_query(where), values | _hour_values(values))
    for begin_us, end_us in _spans(connection, where, values, hours):
        within = {
            "from_row": max(bound(begin_us), values["from_row"] or 0),
            "to_row": _least(bound(end_us), values["to_row"]),
            "limit": limit - len(found),
        }
        found += fetch("generation", values | within)
        if len(found) >= limit:
            break
    return found


def _spans(
    connection: sqlite3.Connection,
    where: Filter,
    values: Values,
    hours: Iterator[tuple[int, int]],
) -> Iterator[tuple[int, int]]:
    """Yield the times in which there are such rows, newest first."""
    for hour, count in hours:
        quarters = connection.execute(quarters_query(where), values | {"hour": hour}).fetchall()
        if sum(folded for _, folded in quarters) < count:
            yield hour * HOUR_US, (hour + 1) * HOUR_US
            continue
        for quarter, _ in quarters:
            yield quarter * QUARTER_US, (quarter + 1) * QUARTER_US


def hours_query(where: Filter) -> str:
    """Return the query for hours with such rows and their number, newest first, read as needed."""
    wanted = [*conditions(where), "hour >= :from_hour", "hour <= :to_hour"]
    return (
        f"SELECT hour, sum(requests) FROM hourly WHERE {' AND '.join(wanted)} "
        "GROUP BY hour ORDER BY hour DESC"
    )


def quarters_query(where: Filter) -> str:
    """Return the query for an hour's quarters with such folded rows and their number."""
    wanted = [*conditions(where), "quarter >= :hour * 4", "quarter < :hour * 4 + 4"]
    return (
        f"SELECT quarter, sum(requests) FROM quarters WHERE {' AND '.join(wanted)} "
        "GROUP BY quarter ORDER BY quarter DESC"
    )


def page_query(where: Filter, table: Table, values: Values, *, selected: str = SELECTED) -> str:
    """Return the query for rows of one table; bounds without a value are left out."""
    # One bound at each end: of two SQLite seeks by one and walks over all the other leaves out.
    tests = {"from_row": "row >= :from_row", "to_row": "row < :to_row"}
    wanted = conditions(where, user_column=user_column(table))
    wanted += [test for name, test in tests.items() if values[name] is not None]
    return (
        f"SELECT {selected} FROM {ROWS[table]} WHERE {' AND '.join(wanted)} "
        "ORDER BY row DESC LIMIT :limit"
    )


def _values(where: Filter, last: int | None) -> Values:
    past = None if where.to_us is None else bound(where.to_us)
    return {
        "account": where.account,
        "user": where.user,
        "model": where.model,
        "provider": where.provider,
        "key": where.key_hash,
        "from_row": None if where.from_us is None else bound(where.from_us),
        "to_row": past if last is None else _least(last, past),
    }


def _hour_values(values: Values) -> dict[str, int]:
    first, past = values["from_row"], values["to_row"]
    return {
        "from_hour": 0 if first is None else time_at(first) // HOUR_US,
        "to_hour": 1 << 40 if past is None else time_at(past) // HOUR_US,
    }


def _least(row: int, other: int | None) -> int:
    return row if other is None else min(row, other)
