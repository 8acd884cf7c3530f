"""A page of generations, newest first.

A filter by user walks the rows of that user. One by model, provider or key has no index over
rows, which would cost every write; instead `hourly` tells the hours in which there are any, and
`quarters` where in the hour they are, unless some of the hour's rows are not folded yet.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from regulars.stores.base import Filter
from regulars.stores.sqlite.places import bound, time_at
from regulars.stores.sqlite.query import conditions, user_column
from regulars.stores.sqlite.rollups import HOUR_US, QUARTER_US
from regulars.stores.sqlite.rows import SELECTED
from regulars.stores.sqlite.slices import ROWS, Table

Row = tuple[Any, ...]
_PEOPLE: Final[tuple[Table, ...]] = ("by_user", "tail")


def newest(
    connection: sqlite3.Connection, where: Filter, *, last: int | None, limit: int
) -> list[Row]:
    """Return up to `limit` rows by SELECTED, from before the row number `last`."""
    values = _values(where, last) | {"limit": limit}
    if where.user is not None:
        # A row is folded or not, so none comes twice; its number is its first column.
        both = [row for table in _PEOPLE for row in _rows(connection, where, table, values)]
        return sorted(both, reverse=True)[:limit]
    if where.model is None and where.provider is None and where.key_hash is None:
        return _rows(connection, where, "generation", values)
    return _by_hours(connection, where, values)


def _by_hours(connection: sqlite3.Connection, where: Filter, values: dict[str, Any]) -> list[Row]:
    found: list[Row] = []
    limit: int = values["limit"]
    hours = connection.execute(hours_query(where), values | _hour_values(values))
    for begin_us, end_us in _spans(connection, where, values, hours):
        within = {
            "from_row": max(bound(begin_us), values["from_row"] or 0),
            "to_row": _least(bound(end_us), values["to_row"]),
            "limit": limit - len(found),
        }
        query = page_query(where, "generation", values | within)
        found += connection.execute(query, values | within).fetchall()
        if len(found) >= limit:
            break
    return found


def _spans(
    connection: sqlite3.Connection,
    where: Filter,
    values: dict[str, Any],
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


def page_query(where: Filter, table: Table, values: dict[str, Any]) -> str:
    """Return the query for rows of one table; bounds without a value are left out."""
    # One bound at each end: of two SQLite seeks by one and walks over all the other leaves out.
    tests = {"from_row": "row >= :from_row", "to_row": "row < :to_row"}
    wanted = conditions(where, user_column=user_column(table))
    wanted += [test for name, test in tests.items() if values[name] is not None]
    return (
        f"SELECT {SELECTED} FROM {ROWS[table]} WHERE {' AND '.join(wanted)} "
        "ORDER BY row DESC LIMIT :limit"
    )


def _rows(
    connection: sqlite3.Connection, where: Filter, table: Table, values: dict[str, Any]
) -> list[Row]:
    return connection.execute(page_query(where, table, values), values).fetchall()


def _values(where: Filter, last: int | None) -> dict[str, Any]:
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


def _hour_values(values: dict[str, Any]) -> dict[str, int]:
    first, past = values["from_row"], values["to_row"]
    return {
        "from_hour": 0 if first is None else time_at(first) // HOUR_US,
        "to_hour": 1 << 40 if past is None else time_at(past) // HOUR_US,
    }


def _least(row: int, other: int | None) -> int:
    return row if other is None else min(row, other)
