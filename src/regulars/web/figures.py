"""The figures of pages, asked of the report definitions that API and exports ask too. Blocking."""

from collections.abc import Iterable, Sequence
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
) -> tuple[list[Figures], bool]:
    """Return the groups that cost most, and whether there are more."""
    query = replace(question(where, by), order=_BY_COST, limit=limit)
    answer = reports.run(query)
    return [Figures(_text(row[0]), sums_of(row[1:])) for row in answer.rows], bool(answer.cut)


def over_time(reports: Reports, where: Filter, window: Window) -> list[SeriesPoint]:
    """Return sums per bar's step of all that the filter selects."""
    return _points(reports, _stepped(question(where), window), window)


def series(
    reports: Reports, where: Filter, window: Window, by: GroupBy, names: Sequence[str | None]
) -> list[SeriesPoint]:
    """Return sums per bar's step of these groups."""
    named = tuple(name for name in names if name is not None)
    if by != "user" or len(named) == len(names):
        return _series_of(reports, where, window, by, tuple(names))
    # People are sought one by one, requests that named nobody by walking over everybody's: asked
    # together, all would be walked for.
    points = _series_of(reports, where, window, by, named)
    return points + _series_of(reports, where, window, by, (None,))


def rest(whole: Sequence[SeriesPoint], points: Sequence[SeriesPoint]) -> list[SeriesPoint]:
    """Return what groups leave of the whole, as the group `Other`."""
    shown: dict[int, list[Sums]] = {}
    for point in points:
        shown.setdefault(point.bucket_us, []).append(point.sums)
    return [
        SeriesPoint(one.bucket_us, OTHER, _less(one.sums, shown.get(one.bucket_us, [])))
        for one in whole
    ]


def running(points: Sequence[SeriesPoint], window: Window) -> list[SeriesPoint]:
    """Return a point a bar and group that holds all up to the bar's end."""
    by_group: dict[str | None, dict[int, list[Sums]]] = {}
    for point in points:
        if (bar := window.bar_of(point.bucket_us)) is not None:
            by_group.setdefault(point.group, {}).setdefault(bar, []).append(point.sums)
    found: list[SeriesPoint] = []
    for group, bars in by_group.items():
        so_far = Sums()
        for bar, start_us in enumerate(window.starts):
            so_far = added([so_far, *bars.get(bar, ())])
            found.append(SeriesPoint(start_us, group, so_far))
    return found


def added(sums: Iterable[Sums]) -> Sums:
    """Add up sums."""
    return Sums(*map(sum, zip(*(_values(one) for one in sums), strict=True)))


def _less(whole: Sums, parts: Sequence[Sums]) -> Sums:
    if not parts:
        return whole
    pairs = zip(_values(whole), _values(added(parts)), strict=True)
    return Sums(*(of_all - of_parts for of_all, of_parts in pairs))


def _values(sums: Sums) -> tuple[int, ...]:
    return tuple(getattr(sums, field.name) for field in fields(Sums))


def _series_of(
    reports: Reports, where: Filter, window: Window, by: GroupBy, names: tuple[str | None, ...]
) -> list[SeriesPoint]:
    if not names:
        return []
    query = question(where, by)
    query = replace(query, where=(*query.where, Condition(by, "in", names)))
    return _points(reports, _stepped(query, window), window)


def _stepped(query: ReportQuery, window: Window) -> ReportQuery:
    return replace(query, step=window.step, zone=window.zone.key, limit=LIMIT_MAX)


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
