"""A report's question → one SELECT, over rollups where they have all of it, else over rows.

The question's time is cut into parts (`slices`), bucket by bucket: each part names a table, a
range of its own unit and the bucket it belongs to. Parts are bound as one JSON text a table, so
the SQL depends on what is asked and not on how many parts there are. The join is CROSS, parts
first: every range is a seek.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

from regulars.reports.definitions import METRICS
from regulars.reports.schema import Distinct, Last, Quantile, Ratio, ReportQuery, Sum
from regulars.reports.windows import Bucket
from regulars.stores.sqlite.columns import (
    BYOK,
    PLACES,
    counted,
    dimensions,
    figure,
    figures,
    needs_rows,
)
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.places import PLACE_BITS, bound
from regulars.stores.sqlite.slices import ROWS, TIME_COLUMN, End, Slice, Table, slices

LEAST: Final = -(1 << 62)
"""Where unknown figures stand when groups are sorted: last of all that fall."""


_Span = tuple[int, int, int, int]
"""First unit, the one past the last, the bucket's number, the sign."""
Parts = Mapping[Table, Sequence[_Span]]


@dataclass(frozen=True, slots=True)
class Wheres:
    """The conditions as SQL: over rows and over rollups, with their values."""

    of_rows: Sequence[str]
    of_rollups: Sequence[str]
    values: Mapping[str, Any]
    user_ids: Sequence[int] | None = None
    """Only these people, where the conditions name them; nobody is none of them."""
    named_only: bool = False
    """Whether what names nobody is left out."""
    numbers: range | None = None
    """Only people with these numbers, in tables by user; rows are not looked at for it."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A SELECT of `g0` (the bucket), `g1` … (dimensions), `m0` … (metrics), and its values."""

    sql: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question and the parts that answer it."""

    query: ReportQuery
    wheres: Wheres
    parts: Parts

    @property
    def minus(self) -> bool:
        """Whether some parts are subtracted."""
        return any(span[3] < 0 for spans in self.parts.values() for span in spans)

    def times(self, table: Table) -> str:
        """Return what stands before a figure of this table."""
        match {span[3] for span in self.parts[table]}:
            case signs if -1 not in signs:
                return ""
            case signs if 1 not in signs:
                return "-"
            case _:
                return "sign * "


def compile_query(query: ReportQuery, wheres: Wheres, buckets: Sequence[Bucket]) -> Compiled:
    """Return the SELECT without order and limit. Source: `reports.definitions` for each metric."""
    parts = parts_of(query, wheres, buckets)
    groups = [f"g{number}" for number in range(len(query.dimensions) + 1)]
    wanted = Wanted(query, wheres, parts)
    metrics = metrics_sql(query)
    grouped = query.step is not None or query.dimensions
    # Without groups there is one answer, even of nothing.
    keys = ", ".join(
        [*([] if query.step else ["0 AS g0"]), *(groups if query.step else groups[1:])]
    )
    # One bucket is no group: to sort by it too, or carry it along, would take a fifth longer.
    sorted_by = groups if query.step else groups[1:]
    by = f" GROUP BY {', '.join(sorted_by)}" if grouped else ""
    names = figures(query.metrics)
    if wanted.minus:
        # Who was there only in what was subtracted was not there.
        names, by = tuple({*names, "requests"}), f"{by} HAVING sum(f_requests) > 0"
    ctes = [parts_cte(table) for table in parts]
    quantiles = _quantiles(query)
    origin = f"({_union(wanted, names)})"
    if quantiles and wheres.user_ids is not None:
        # Some people's rows lie all over the file: they are read once, for all figures.
        names = tuple(dict.fromkeys((*names, *quantiles)))
        ctes.append(f"read_once AS MATERIALIZED ({_union(wanted, names)})")
        origin = "read_once"
    ctes.append(f"base AS (SELECT {keys}, {metrics} FROM {origin}{by})")
    columns = [f"base.{group}" for group in groups]
    joins = ""
    for name, percents in quantiles.items():
        read = origin if origin == "read_once" else f"({_union(wanted, (name,))})"
        ctes.append(_quantile_cte(read, name, percents, groups))
        joins += f" LEFT JOIN q_{name} USING ({', '.join(groups)})"
    for number, name in enumerate(query.metrics):
        formula = METRICS[name].formula
        quantile = isinstance(formula, Quantile)
        source = f"q_{formula.figure}.p{formula.percent}" if quantile else f"base.m{number}"
        columns.append(f"{source} AS m{number}")
    sql = f"WITH {', '.join(ctes)} SELECT {', '.join(columns)} FROM base{joins}"
    return Compiled(sql, values_of(wanted))


def values_of(wanted: Wanted) -> dict[str, Any]:
    """Return what is bound: the conditions' values and the parts."""
    parts = {f"{table}_parts": json.dumps(found) for table, found in wanted.parts.items()}
    return {**wanted.wheres.values, **parts}


def _level(query: ReportQuery) -> Table:
    if needs_rows(query):
        return "generation"
    asked = dimensions(query)
    if "user" not in asked:
        return "hourly"
    return "blocks" if asked == {"user"} else "daily"


def parts_of(query: ReportQuery, wheres: Wheres, buckets: Sequence[Bucket]) -> Parts:
    """Cut the question's time into parts of tables."""
    level, less = _level(query), _less(query, wheres)
    found: dict[Table, list[_Span]] = {}
    for number, bucket in enumerate(buckets):
        for part in slices(
            level,
            bucket.from_us,
            bucket.to_us,
            one_user=wheres.user_ids is not None,
            less=less,
        ):
            found.setdefault(part.table, []).extend(_spans(part, number, wheres))
        if BYOK in figures(query.metrics) and not needs_rows(query):
            billed = Slice("billed", bucket.from_us, bucket.to_us)
            found.setdefault("billed", []).extend(_spans(billed, number, wheres))
    return found or {"generation": []}


def _less(query: ReportQuery, wheres: Wheres) -> tuple[End, ...]:
    """Return the ends of the window at which this question's figures may be subtracted."""
    if query.dimensions != ("user",) or query.step is not None or wheres.user_ids is not None:
        return ()
    formulas = [METRICS[name].formula for name in query.metrics]
    if not all(
        isinstance(each, Sum | Ratio | Last) or each == Distinct("user") for each in formulas
    ):
        return ()
    # Who was there after the end would be seen last then.
    return ("begin",) if any(isinstance(each, Last) for each in formulas) else ("begin", "end")


def _spans(part: Slice, number: int, wheres: Wheres) -> list[_Span]:
    assert part.start is not None, "buckets are closed"
    assert part.end is not None, "buckets are closed"
    if part.table in ROWS:
        return [(bound(part.start), bound(part.end), number, part.sign)]
    if wheres.user_ids is not None or wheres.numbers is not None:
        # A seek per unit for each person, instead of a walk over everyone's.
        return [(unit, unit + 1, number, part.sign) for unit in range(part.start, part.end)]
    return [(part.start, part.end, number, part.sign)]


def parts_cte(table: Table) -> str:
    """Return the table of a table's parts."""
    return (
        f"{table}_part (first, past, bucket, sign) AS MATERIALIZED (SELECT json_extract(value, '$[0]'), "
        f"json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]') "
        f"FROM json_each(:{table}_parts))"
    )


def _union(wanted: Wanted, names: Sequence[str]) -> str:
    return " UNION ALL ".join(part_select(wanted, table, names) for table in wanted.parts)


def part_select(wanted: Wanted, table: Table, names: Sequence[str]) -> str:
    """Return the SELECT of one table's groups `g…`, figures `f_…` and `last_us`."""
    of_row = table in ROWS
    query, wheres = wanted.query, wanted.wheres
    bucketed = query.step is not None or any(_quantiles(query))
    columns = [f"{table}_part.bucket AS g0"] if bucketed else []
    for number, name in enumerate(query.dimensions, start=1):
        columns.append(f"{_dimension(name, of_row=of_row)} AS g{number}")
    columns += [
        f"{_dimension(name, of_row=of_row)} AS d_{name}"
        for name in counted(query.metrics)
        if name not in query.dimensions
    ]
    times = wanted.times(table)
    columns += [f"{times}({_figure(name, table, wanted)}) AS f_{name}" for name in names]
    if any(isinstance(METRICS[name].formula, Last) for name in query.metrics):
        columns.append(f"(row >> {PLACE_BITS}) AS last_us" if of_row else "last_us")
    return f"SELECT {', '.join(columns)} FROM {table}_part CROSS JOIN {_origin(table, wheres)}"


def _figure(name: str, table: Table, wanted: Wanted) -> str:
    if table == "billed":
        return "nanousd" if name == BYOK else "0"
    if name == BYOK and "billed" in wanted.parts:
        return "0"
    return figure(name, of_row=table in ROWS)


def _dimension(name: str, *, of_row: bool) -> str:
    place = PLACES[name]
    return place.row if of_row else place.rollup or place.row


def _origin(table: Table, wheres: Wheres) -> str:
    of_row = table in ROWS
    conditions = list(wheres.of_rows if of_row else wheres.of_rollups)
    if of_row:
        limits = f"{_KEY_TABLE[table]}.row >= first AND {_KEY_TABLE[table]}.row < past"
    elif wheres.user_ids is not None:
        limits = f"{TIME_COLUMN[table]} = first"
    elif wheres.numbers is not None:
        start, stop = wheres.numbers.start, wheres.numbers.stop
        limits = f"{TIME_COLUMN[table]} = first AND end_user_id >= {start} AND end_user_id < {stop}"
    else:
        limits = f"{TIME_COLUMN[table]} >= first AND {TIME_COLUMN[table]} < past"
    if wheres.named_only and (wheres.numbers is None or NOBODY_ID in wheres.numbers or of_row):
        conditions.append(f"coalesce(+end_user_id, {NOBODY_ID}) <> {NOBODY_ID}")
    account = "+account_id" if of_row else "account_id"
    conditions = [limits, f"{account} = :account", *conditions]
    if wheres.user_ids is not None:
        owner = {"by_user": "user_id", "tail": "+end_user_id"}.get(table, "end_user_id")
        conditions.append(f"{owner} IN (SELECT value FROM json_each(:user_ids))")
    return f"{ROWS.get(table, table)} WHERE {' AND '.join(conditions)}"


_KEY_TABLE: Final[Mapping[str, str]] = {
    "generation": "generation",
    "by_user": "by_user",
    "tail": "tail",
    "billed": "billed",
}


def metrics_sql(query: ReportQuery) -> str:
    """Return the expressions of the question's metrics, `m0` …, over figures `f_…`."""
    return ", ".join(f"{_metric(name, query)} AS m{n}" for n, name in enumerate(query.metrics))


def _metric(name: str, query: ReportQuery) -> str:
    formula = METRICS[name].formula
    match formula:
        case Sum(one):
            return f"coalesce(sum(f_{one}), 0)"
        case Ratio(upper, lower, scale):
            return f"sum(f_{upper}) * {scale!r} / nullif(sum(f_{lower}), 0)"
        case Distinct(dimension) if dimension in query.dimensions:
            # A group of one user has one, or nobody.
            return f"g{query.dimensions.index(dimension) + 1} <> {_none(dimension)}"
        case Distinct(dimension):
            return f"count(DISTINCT nullif(d_{dimension}, {_none(dimension)}))"
        case Last():
            return "max(last_us)"
        case Quantile():
            return "max(NULL)"
        case _:
            assert_never(formula)


def _none(dimension: str) -> str:
    return "''" if PLACES[dimension].kind == "text" else "0"


def _quantiles(query: ReportQuery) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for name in query.metrics:
        formula = METRICS[name].formula
        if isinstance(formula, Quantile):
            found.setdefault(formula.figure, []).append(formula.percent)
    return found


def _quantile_cte(origin: str, name: str, percents: Sequence[int], groups: Sequence[str]) -> str:
    keys = ", ".join(groups)
    # The n-th of c values, n = ceil(c * percent / 100), in whole numbers.
    picks = ", ".join(
        f"max(iif(n = (c * {percent} + 99) / 100, f_{name}, NULL)) AS p{percent}"
        for percent in percents
    )
    ranked = (
        f"SELECT {keys}, f_{name}, row_number() OVER (PARTITION BY {keys} ORDER BY f_{name}) AS n, "
        f"count(*) OVER (PARTITION BY {keys}) AS c FROM {origin} WHERE f_{name} IS NOT NULL"
    )
    return f"q_{name} AS MATERIALIZED (SELECT {keys}, {picks} FROM ({ranked}) GROUP BY {keys})"


def sort_terms(query: ReportQuery, texts: Mapping[str, str]) -> list[tuple[str, bool]]:
    """Return what rows are sorted by, (expression, descending), so that no two rows are alike.

    `texts` has an expression for dimensions that are to be sorted by what they are called.
    """
    terms: list[tuple[str, bool]] = []
    orders = [(each.name, each.descending) for each in query.order]
    if not orders:
        orders = [("time", False)] if query.step else []
        orders.append((query.metrics[0], True))
    for name, descending in orders:
        if name in query.dimensions:
            group = f"g{query.dimensions.index(name) + 1}"
            terms.append((texts[name].replace(":group", group), descending))
        elif name in query.metrics:
            unknown = LEAST if descending else -LEAST
            terms.append((f"coalesce(m{query.metrics.index(name)}, {unknown})", descending))
        else:
            terms.append(("g0", descending))
    return [*terms, *((f"g{n}", False) for n in range(len(query.dimensions) + 1))]
