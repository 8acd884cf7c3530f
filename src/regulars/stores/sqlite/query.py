"""Building the SQL of reports: one SELECT over the slices of a range. All values are bound."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from regulars.stores.base import Filter
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.places import PLACE_BITS, bound
from regulars.stores.sqlite.rollups import ROW_SUMS
from regulars.stores.sqlite.schema import ROLLED_COLUMNS, SUM_COLUMNS
from regulars.stores.sqlite.slices import ROWS, TIME_COLUMN, UNIT_US, Slice, Table, slices

SUMS: Final = ", ".join(f"coalesce(sum({column}), 0)" for column in SUM_COLUMNS)

RANKED_BY: Final = ("cost_nanousd", "requests")

GROUPABLE: Final = ("end_user_id", "model_id", "provider_id", "endpoint_id", "key_id")


@dataclass(frozen=True, slots=True)
class Source:
    """A subquery `FROM (…)` with its parameters."""

    sql: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Wanted:
    table: Table
    groups: Sequence[str]
    bucket_us: int | None
    sums: Sequence[str]
    user_ids: Sequence[int]
    """Only these; empty: all."""


def source(
    where: Filter, table: Table, *, groups: Sequence[str], bucket_us: int | None = None
) -> Source:
    """Return what a filter selects, with the group columns, SUM_COLUMNS and `last_us`.

    With `bucket_us` (a multiple of the table's unit) a column `bucket` counts those since 1970.
    """
    return _source(where, _Wanted(table, groups, bucket_us, SUM_COLUMNS, ()))


def ranking(where: Filter, table: Table) -> Source:
    """Return per user only what ranks users: a third of the work of all sums."""
    return _source(where, _Wanted(table, ("end_user_id",), None, RANKED_BY, ()))


def some_users(where: Filter, table: Table, user_ids: Sequence[int]) -> Source:
    """Return everything about a few users, by their ids in the store."""
    return _source(where, _Wanted(table, ("end_user_id",), None, SUM_COLUMNS, user_ids))


def _source(where: Filter, wanted: "_Wanted") -> Source:
    values: dict[str, Any] = {
        "account": where.account,
        "user": where.user,
        "model": where.model,
        "provider": where.provider,
        "key": where.key_hash,
    }
    selects: list[str] = []
    parts = slices(wanted.table, where.from_us, where.to_us, one_user=where.user is not None)
    for number, part in enumerate(parts):
        values |= {
            f"start{number}": _value(part, part.start),
            f"end{number}": _value(part, part.end),
        }
        selects.append(_select(where, part, number, wanted))
    return Source(f"({' UNION ALL '.join(selects)})", values)


def conditions(where: Filter, *, user_column: str = "end_user_id") -> list[str]:
    """Return the filter's conditions that every table shares; times are not among them."""
    found = ["account_id = (SELECT id FROM name WHERE text = :account)"]
    if where.user is not None:
        found.append(
            f"{user_column} = (SELECT id FROM end_user WHERE name = :user "
            "AND account_id = (SELECT id FROM name WHERE text = :account))"
        )
    for column, wanted in (
        ("model", where.model),
        ("provider", where.provider),
        ("key", where.key_hash),
    ):
        if wanted is not None:
            # The unary plus keeps the planner on the index by account or user and time.
            found.append(f"+{column}_id = (SELECT id FROM name WHERE text = :{column})")
    return found


def user_column(table: Table) -> str:
    """Return the column that a table is asked for one user by."""
    return "user_id" if table == "by_user" else "end_user_id"


def _select(where: Filter, part: Slice, number: int, asked: _Wanted) -> str:
    groups, bucket_us = asked.groups, asked.bucket_us
    rows = part.table in ROWS
    columns = [f"coalesce({group}, 0) AS {group}" if rows else group for group in groups]
    if bucket_us is not None:
        per_bucket = bucket_us // UNIT_US[part.table]
        columns.append(f"{_time_column(part.table)} / {per_bucket} AS bucket")
    of_row: dict[str, str] = dict(zip(ROLLED_COLUMNS, ROW_SUMS, strict=True))
    columns += [f"{of_row[name]} AS {name}" if rows else name for name in asked.sums]
    columns.append(f"{_time_column(part.table)} AS last_us" if rows else "last_us")
    wanted = [*conditions(where, user_column=user_column(part.table)), *_times(where, part, number)]
    if asked.user_ids:
        owner = f"coalesce(end_user_id, {NOBODY_ID})" if rows else "end_user_id"
        wanted.append(f"{owner} IN ({', '.join(map(str, asked.user_ids))})")
        if not rows:
            wanted.append(_each_unit(part.table, TIME_COLUMN[part.table], number))
    origin = ROWS.get(part.table, part.table)
    return f"SELECT {', '.join(columns)} FROM {origin} WHERE {' AND '.join(wanted)}"


def _time_column(table: Table) -> str:
    return f"(row >> {PLACE_BITS})" if table in ROWS else TIME_COLUMN[table]


def _times(where: Filter, part: Slice, number: int) -> list[str]:
    # Rows are sought by their number: an expression around the column could not seek.
    column = "row" if part.table in ROWS else TIME_COLUMN[part.table]
    start = f"{column} >= :start{number}" if part.start is not None else None
    end = f"{column} < :end{number}" if part.end is not None else None
    found = [limit for limit in (start, end) if limit is not None]
    if part.table not in ROWS and where.user is not None:
        found.append(_each_unit(part.table, column, number))
    return found


def _value(part: Slice, time: int | None) -> int | None:
    return bound(time) if part.table in ROWS and time is not None else time


def _each_unit(table: str, column: str, number: int) -> str:
    """Name the days one by one: a seek per day instead of a walk over every user's rows."""
    account = "account_id = (SELECT id FROM name WHERE text = :account)"
    first = f"(SELECT min({column}) FROM {table} WHERE {account})"
    last = f"(SELECT max({column}) FROM {table} WHERE {account})"
    return (
        f"{column} IN (WITH RECURSIVE each_unit (n) AS (SELECT max({first}, ifnull(:start{number}, {first})) "
        f"UNION ALL SELECT n + 1 FROM each_unit WHERE n < {last} "
        f"AND n + 1 < ifnull(:end{number}, {last} + 1)) SELECT n FROM each_unit)"
    )
