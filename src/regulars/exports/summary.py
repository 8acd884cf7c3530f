"""What a report for people holds: totals, the course of time, and who used how much."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from regulars.exports.aggregated import conditions
from regulars.reports.definitions import METRICS
from regulars.reports.schema import TIME, Cell, Order, Ratio, ReportQuery, Step, Sum, Window
from regulars.stores.base import Filter, Reports

GROUPS_MAX: Final = 200
"""Groups a breakdown shows; the rest is one line."""
STEPS_MAX: Final = 1000
HOURS_UP_TO_DAYS: Final = 2
DAYS_UP_TO_DAYS: Final = 93
_DAY_US: Final = 86_400_000_000
USUAL_GROUPS: Final = (("user",), ("model",), ("provider",))
"""What it is broken down by, whatever else is asked for."""
USUAL_METRICS: Final = (
    "requests",
    "failed_requests",
    "prompt_tokens",
    "cached_share",
    "completion_tokens",
    "cost",
)
"""What is shown of each group, unless other figures are asked for."""
_OF_ALL: Final = (
    "requests",
    "users",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "cost",
    "cache_saving",
    "unpriced_requests",
)
_COURSE: Final = ("cost",)
_RANKED_BY: Final = "cost"
_COUNTED: Final = "requests"
_ADDED_UP: Final = {
    each.formula.figure: name for name, each in METRICS.items() if isinstance(each.formula, Sum)
}
"""The metric that is the sum of a figure."""
Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one group; `names` are its values, or its time in microseconds."""

    names: tuple[Cell, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Groups by cost, and what is known of all that are not shown, taken together."""

    dimensions: tuple[str, ...]
    shown: tuple[Line, ...]
    rest: Figures | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All of it; sums of breakdowns add up to the totals."""

    totals: Figures
    step: Step
    course: tuple[Line, ...]
    metrics: tuple[str, ...]
    breakdowns: tuple[Breakdown, ...]


def summary(
    reports: Reports,
    where: Filter,
    *,
    zone: str,
    group_by: tuple[str, ...] = (),
    metrics: tuple[str, ...] = USUAL_METRICS,
) -> Summary:
    """Ask the store for everything; the course of time needs a range with a begin.

    The breakdown by `group_by` comes first.

    Raises StoreError, ReportError.
    """
    base = ReportQuery(
        account=where.account,
        metrics=_asked(metrics),
        where=conditions(where),
        window=Window(where.from_us, where.to_us),
        zone=zone,
        limit=GROUPS_MAX,
    )
    of_all = tuple(dict.fromkeys((*base.metrics, *_OF_ALL)))
    (total,) = _lines(reports, replace(base, metrics=of_all))
    step = _step(base.window)
    closed = base.window.from_us is not None and base.window.to_us is not None
    course = replace(
        base,
        metrics=_COURSE,
        step=step,
        order=(Order(TIME, descending=False),),
        limit=STEPS_MAX,
    )
    groups = dict.fromkeys((group_by, *USUAL_GROUPS) if group_by else USUAL_GROUPS)
    return Summary(
        totals=total.figures,
        step=step,
        course=_lines(reports, course) if closed else (),
        metrics=metrics,
        breakdowns=tuple(_breakdown(reports, base, each, total.figures) for each in groups),
    )


def _asked(metrics: Sequence[str]) -> tuple[str, ...]:
    """Add what groups are ranked by, and what shares of those not shown are made of."""
    parts: list[str] = []
    for name in metrics:
        match METRICS[name].formula:
            case Ratio(upper, lower):
                parts += [_ADDED_UP[each] for each in (upper, lower) if each in _ADDED_UP]
            case _:
                pass
    return tuple(dict.fromkeys((*metrics, *parts, _RANKED_BY, _COUNTED)))


def _breakdown(
    reports: Reports, base: ReportQuery, dimensions: tuple[str, ...], totals: Figures
) -> Breakdown:
    asked = replace(base, dimensions=dimensions, order=(Order(_RANKED_BY),))
    shown = _lines(reports, asked)
    sums = {
        name: (totals[name] or 0) - sum(line.figures[name] or 0 for line in shown)
        for name in base.metrics
        if isinstance(METRICS[name].formula, Sum)
    }
    rest: Figures = {name: _of_rest(name, sums) for name in base.metrics}
    return Breakdown(dimensions, shown, rest if sums[_COUNTED] else None)


def _of_rest(name: str, sums: dict[str, float]) -> float | None:
    """Return a figure of all groups that are not shown; None where it cannot be told from sums."""
    match METRICS[name].formula:
        case Sum():
            return sums[name]
        case Ratio(upper, lower, scale) if upper in _ADDED_UP and lower in _ADDED_UP:
            below = sums[_ADDED_UP[lower]]
            return sums[_ADDED_UP[upper]] * scale / below if below else None
        case _:
            return None


def _lines(reports: Reports, query: ReportQuery) -> tuple[Line, ...]:
    places = len(query.columns) - len(query.metrics)
    return tuple(
        Line(
            names=row[:places],
            figures={
                name: None if value is None else _number(value)
                for name, value in zip(query.metrics, row[places:], strict=True)
            },
        )
        for row in reports.run(query).rows
    )


def _number(value: Cell) -> float:
    assert isinstance(value, int | float), "metrics are numbers"
    return value


def _step(window: Window) -> Step:
    if window.from_us is None or window.to_us is None:
        return "day"
    days = (window.to_us - window.from_us) / _DAY_US
    if days <= HOURS_UP_TO_DAYS:
        return "hour"
    return "day" if days <= DAYS_UP_TO_DAYS else "month"
