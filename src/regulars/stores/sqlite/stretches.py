"""Ranking everybody a stretch of people's numbers at a time, in one statement.

Rollups by user are kept in the order of the users' numbers within a unit of time, so a stretch of
them is a seek per unit. Each is sorted by itself, small enough to stay in memory and near the
processor, and leaves its first few: a fifth less than sorting everybody at once. Rows have no such
order: they are added up once, for all stretches.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from regulars.reports.definitions import METRICS
from regulars.reports.schema import Distinct, Last, Ratio, ReportQuery, Sum
from regulars.reports.windows import Bucket
from regulars.stores.sqlite.columns import figures, needs_rows
from regulars.stores.sqlite.compile import (
    Wanted,
    Wheres,
    metrics_sql,
    part_select,
    parts_cte,
    parts_of,
    values_of,
)
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.slices import ROWS, Table

STRETCH_PEOPLE: Final = 20_000
"""At 5,000 as quick, at 50,000 a tenth slower."""
STRETCHES_MAX: Final = 16
"""More people than that times STRETCH_PEOPLE make longer stretches: the statement stays short."""


@dataclass(frozen=True, slots=True)
class Stretched:
    """The parts of a ranking: tables to begin with, a SELECT for each stretch, and values."""

    tables: Sequence[str]
    selects: Sequence[str]
    values: dict[str, Any]
    ranked_by: int | None
    """Where, from a row's end, its metric stands that tells who was there; None: all were."""

    def first_of_all(self, first_of: Callable[[str], str], falls: Sequence[bool]) -> str:
        """Return the whole statement; `first_of` sorts and limits one SELECT."""
        each = " UNION ALL ".join(f"SELECT * FROM ({first_of(one)})" for one in self.selects)
        order = ", ".join(f"k{n} {'DESC' if down else 'ASC'}" for n, down in enumerate(falls))
        return f"WITH {', '.join(self.tables)} SELECT * FROM ({each}) ORDER BY {order} LIMIT :limit"

    def all_there(self, found: Sequence[Sequence[Any]]) -> bool:
        """Tell whether everyone found was there: what was only subtracted adds up to nothing."""
        return self.ranked_by is None or all(row[self.ranked_by] for row in found)


def newest_number(connection: sqlite3.Connection) -> int:
    """Return the greatest number of any end user."""
    (newest,) = connection.execute("SELECT max(id) FROM end_user").fetchone()
    return int(newest or 0)


def compile_stretches(
    query: ReportQuery, wheres: Wheres, buckets: Sequence[Bucket], newest: int
) -> Stretched | None:
    """Return the ranking; None where the question is another or no rollup answers it."""
    if not _ranks_people(query, wheres):
        return None
    stretches = _stretches(NOBODY_ID + 1 if wheres.named_only else NOBODY_ID, newest)
    wanted = Wanted(query, wheres, parts_of(query, replace(wheres, numbers=stretches[0]), buckets))
    rows: list[Table] = [table for table in wanted.parts if table in ROWS]
    rollups: list[Table] = [table for table in wanted.parts if table not in ROWS]
    if not rollups:
        return None
    formulas = [METRICS[name].formula for name in query.metrics]
    last = any(isinstance(each, Last) for each in formulas)
    here = any(isinstance(each, Distinct) for each in formulas)
    names, having, ranked_by = figures(query.metrics), "", None
    if wanted.minus and (last or here or "requests" in names):
        names, having = tuple({*names, "requests"}), " HAVING sum(f_requests) > 0"
    elif wanted.minus:
        # To carry along the requests of everybody only to leave nobody out took a seventh longer.
        ranked_by = query.metrics.index(query.order[0].name if query.order else query.metrics[0])
        ranked_by -= len(query.metrics)
    tables = [parts_cte(table) for table in wanted.parts]
    if rows:
        tables.append(f"rest AS MATERIALIZED ({_rest(wanted, rows, names, last=last)})")
    metrics = metrics_sql(query)
    selects: list[str] = []
    for stretch in stretches:
        near = replace(wanted, wheres=replace(wheres, numbers=stretch))
        parts = [part_select(near, table, names) for table in rollups]
        if rows:
            parts.append(f"SELECT * FROM rest WHERE g1 >= {stretch.start} AND g1 < {stretch.stop}")
        selects.append(
            f"SELECT 0 AS g0, g1, {metrics} FROM ({' UNION ALL '.join(parts)}) GROUP BY g1{having}"
        )
    return Stretched(tables, selects, values_of(wanted), ranked_by)


def _ranks_people(query: ReportQuery, wheres: Wheres) -> bool:
    formulas = [METRICS[name].formula for name in query.metrics]
    return (
        query.dimensions == ("user",)
        and query.step is None
        and wheres.user_ids is None
        and all(each.descending and each.name in query.metrics for each in query.order)
        and all(
            isinstance(each, Sum | Ratio | Last) or each == Distinct("user") for each in formulas
        )
        and not needs_rows(query)
    )


def _stretches(first: int, newest: int) -> list[range]:
    size = max(STRETCH_PEOPLE, newest // STRETCHES_MAX + 1)
    begins = range(first, max(newest, first) + 1, size)
    return [range(begin, begin + size) for begin in begins]


def _rest(wanted: Wanted, tables: Sequence[Table], names: Sequence[str], *, last: bool) -> str:
    sums = [f"sum(f_{name}) AS f_{name}" for name in names]
    columns = ["g1", *sums, *(["max(last_us) AS last_us"] if last else [])]
    parts = " UNION ALL ".join(part_select(wanted, table, names) for table in tables)
    return f"SELECT {', '.join(columns)} FROM ({parts}) GROUP BY g1"
