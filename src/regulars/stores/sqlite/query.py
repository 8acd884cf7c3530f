"""Building the SQL of reports: one SELECT over the slices of a range. All values are bound."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from regulars.model.generation import Outcome
from regulars.stores.base import Filter
from regulars.stores.sqlite.places import bound
from regulars.stores.sqlite.rows import OUTCOME_CODES
from regulars.stores.sqlite.schema import SUM_COLUMNS
from regulars.stores.sqlite.slices import TIME_COLUMN, UNIT_US, Slice, Table, slices

_COMPLETED: Final = OUTCOME_CODES[Outcome.COMPLETED]

_ROW_SUMS: Final = (
    "1",
    f"outcome <> {_COMPLETED}",
    "coalesce(prompt_tokens, 0)",
    "coalesce(completion_tokens, 0)",
    "coalesce(reasoning_tokens, 0)",
    "coalesce(cached_tokens, 0)",
    "coalesce(cache_write_tokens, 0)",
    "coalesce(cost_nanousd, 0)",
    "coalesce(cache_saving_nanousd, 0)",
    "prompt_tokens IS NOT NULL AND cost_nanousd IS NULL",
)
"""What one row adds to SUM_COLUMNS; `rollups.sums_of` says the same in Python."""

SUMS: Final = ", ".join(f"coalesce(sum({column}), 0)" for column in SUM_COLUMNS)

GROUPABLE: Final = ("end_user_id", "model_id", "provider_id", "endpoint_id", "key_id")


@dataclass(frozen=True, slots=True)
class Source:
    """A subquery `FROM (…)` with its parameters."""

    sql: str
    values: dict[str, Any]


def source(
    where: Filter, table: Table, *, groups: Sequence[str], bucket_us: int | None = None
) -> Source:
    """Return what a filter selects, with the group columns, SUM_COLUMNS and `last_us`.

    With `bucket_us` (a multiple of the table's unit) a column `bucket` counts those since 1970.
    """
    values: dict[str, Any] = {
        "account": where.account,
        "user": where.user,
        "model": where.model,
        "provider": where.provider,
        "key": where.key_hash,
    }
    selects: list[str] = []
    for number, part in enumerate(slices(table, where.from_us, where.to_us)):
        values |= {f"start{number}": _value(part, part.start), f"end{number}": _value(part, part.end)}
        selects.append(_select(where, part, number, groups, bucket_us))
    return Source(f"({' UNION ALL '.join(selects)})", values)


def conditions(where: Filter) -> list[str]:
    """Return the filter's conditions that every table shares; times are not among them."""
    found = ["account_id = (SELECT id FROM name WHERE text = :account)"]
    if where.user is not None:
        found.append(
            "end_user_id = (SELECT id FROM end_user WHERE name = :user "
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


def _select(
    where: Filter, part: Slice, number: int, groups: Sequence[str], bucket_us: int | None
) -> str:
    rows = part.table == "generation"
    columns = [f"coalesce({group}, 0) AS {group}" if rows else group for group in groups]
    if bucket_us is not None:
        per_bucket = bucket_us // UNIT_US[part.table]
        columns.append(f"{TIME_COLUMN[part.table]} / {per_bucket} AS bucket")
    sums = zip(_ROW_SUMS, SUM_COLUMNS, strict=True)
    columns += [f"{value} AS {name}" for value, name in sums] if rows else list(SUM_COLUMNS)
    columns.append(f"{TIME_COLUMN['generation']} AS last_us" if rows else "last_us")
    wanted = [*conditions(where), *_times(where, part, number)]
    return f"SELECT {', '.join(columns)} FROM {part.table} WHERE {' AND '.join(wanted)}"


def _times(where: Filter, part: Slice, number: int) -> list[str]:
    # Rows are sought by their number: an expression around the column could not seek.
    column = "row" if part.table == "generation" else TIME_COLUMN[part.table]
    start = f"{column} >= :start{number}" if part.start is not None else None
    end = f"{column} < :end{number}" if part.end is not None else None
    found = [limit for limit in (start, end) if limit is not None]
    if part.table == "daily" and where.user is not None:
        found.append(_each_day(number))
    return found


def _value(part: Slice, time: int | None) -> int | None:
    return bound(time) if part.table == "generation" and time is not None else time


def _each_day(number: int) -> str:
    """Name the days one by one: a seek per day instead of a walk over every user's rows."""
    account = "account_id = (SELECT id FROM name WHERE text = :account)"
    first = f"(SELECT min(day) FROM daily WHERE {account})"
    last = f"(SELECT max(day) FROM daily WHERE {account})"
    return (
        f"day IN (WITH RECURSIVE each_day (day) AS (SELECT max({first}, ifnull(:start{number}, {first})) "
        f"UNION ALL SELECT day + 1 FROM each_day WHERE day < {last} "
        f"AND day + 1 < ifnull(:end{number}, {last} + 1)) SELECT day FROM each_day)"
    )
