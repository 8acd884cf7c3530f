"""The figures of pages, asked of the report definitions that API and exports ask too. Blocking."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from regulars.exports.aggregated import conditions
from regulars.reports import schema
from regulars.reports.schema import LIMIT_MAX, TIME, Cell, Condition, Order, ReportQuery
from regulars.stores.base import Filter, GroupBy, Reports, SeriesPoint, Sums
from regulars.web.palette import OTHER
from regulars.web.periods import Window

SUMS: Final = (
    "requests",
    "failed_requests",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cost",
    "cache_saving",
    "unpriced_requests",
)
"""The metrics that make up `Sums`, in the order of its fields."""
_BY_COST: Final = (Order("cost"), Order("requests"))


@dataclass(frozen=True, slots=True)
class Figures:
    """One group's figures in a table."""

    name: str | None
    sums: Sums


def question(where: Filter, *dimensions: str, metrics: Sequence[str] = SUMS) -> ReportQuery:
    """Put a filter as a report's question."""
    return ReportQuery(
        account=where.account,
        metrics=tuple(metrics),
        dimensions=dimensions,
        where=conditions(where),
        window=schema.Window(where.from_us, where.to_us),
    )


def sums_of(cells: Sequence[Cell]) -> Sums:
    """Read the cells of `SUMS`; nothing adds up to 0."""
    return Sums(*(int(cell or 0) for cell in cells))


def totals(reports: Reports, where: Filter) -> Sums:
    """Return the sums of all that the filter selects."""
    rows = reports.run(question(where)).rows
    return sums_of(rows[0]) if rows else Sums()


def groups(
    reports: Reports,
    where: Filter,
    by: GroupBy,
    *,
    limit: int,
    also: tuple[Condition, ...] = (),
) -> tuple[list[Figures], bool]:
    """Return the groups that cost most, and whether there are more."""
    query = question(where, by)
    query = replace(query, where=(*query.where, *also), order=_BY_COST, limit=limit)
    answer = reports.run(query)
    return [Figures(_text(row[0]), sums_of(row[1:])) for row in answer.rows], bool(answer.cut)


def series(
    reports: Reports,
    where: Filter,
    window: Window,
    by: GroupBy,
    *,
    groups_max: int,
    also: tuple[Condition, ...] = (),
) -> list[SeriesPoint]:
    """Return sums per bar's step and group; all but the groups that cost most are `Other`."""
    top, more = groups(reports, where, by, limit=groups_max, also=also)
    query = question(where, by)
    query = replace(
        query,
        where=(*query.where, *also),
        step=window.step,
        zone=window.zone.key,
        limit=LIMIT_MAX,
    )
    if not more:
        return _points(reports, query, window)
    names = tuple(group.name for group in top)
    ours = replace(query, where=(*query.where, Condition(by, "in", names)))
    points = _points(reports, ours, window)
    everything = _points(reports, replace(query, dimensions=()), window)
    return points + _rest(everything, points)


def _rest(everything: Sequence[SeriesPoint], points: Sequence[SeriesPoint]) -> list[SeriesPoint]:
    shown: dict[int, list[Sums]] = {}
    for point in points:
        shown.setdefault(point.bucket_us, []).append(point.sums)
    return [
        SeriesPoint(whole.bucket_us, OTHER, _less(whole.sums, shown.get(whole.bucket_us, [])))
        for whole in everything
    ]


def _less(whole: Sums, parts: Sequence[Sums]) -> Sums:
    return Sums(
        *(
            getattr(whole, name) - sum(getattr(part, name) for part in parts)
            for name in (field.name for field in fields(Sums))
        )
    )


def _points(reports: Reports, query: ReportQuery, window: Window) -> list[SeriesPoint]:
    answer = reports.run(query)
    time, first = answer.columns.index(TIME), answer.columns.index(SUMS[0])
    grouped = first > 1
    return [
        SeriesPoint(
            # The first step may have begun before the window.
            max(int(row[time] or 0), window.from_us),
            _text(row[1]) if grouped else None,
            sums_of(row[first:]),
        )
        for row in answer.rows
    ]


def _text(cell: Cell) -> str | None:
    return None if cell is None else str(cell)
