"""What a report for people holds: totals, the course of time, and who used how much."""

from dataclasses import dataclass, replace
from typing import Any, Final

from regulars.exports.aggregated import conditions
from regulars.reports.schema import TIME, Order, ReportQuery, Step, Window
from regulars.stores.base import Filter, Reports

USERS_MAX: Final = 200
"""Groups a breakdown shows; the rest is one line."""
STEPS_MAX: Final = 1000
HOURS_UP_TO_DAYS: Final = 2
DAYS_UP_TO_DAYS: Final = 93
_DAY_US: Final = 86_400_000_000
METRICS: Final = (
    "requests",
    "failed_requests",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "cost",
    "cache_saving",
    "unpriced_requests",
)


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one group; `name` is its value, its time in microseconds, or None."""

    name: Any
    figures: dict[str, int]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Groups by cost, and what those that are not shown add up to."""

    shown: tuple[Line, ...]
    rest: Line | None


@dataclass(frozen=True, slots=True)
class Summary:
    """All of it; breakdowns add up to the totals."""

    totals: dict[str, int]
    step: Step
    course: tuple[Line, ...]
    by_user: Breakdown
    by_model: Breakdown
    by_provider: Breakdown


def summary(reports: Reports, where: Filter, *, zone: str) -> Summary:
    """Ask the store for everything; the course of time needs a range with a begin.

    Raises StoreError, ReportError.
    """
    base = ReportQuery(
        account=where.account,
        metrics=METRICS,
        where=conditions(where),
        window=Window(where.from_us, where.to_us),
        zone=zone,
        limit=USERS_MAX,
    )
    totals = _lines(reports, replace(base, metrics=(*METRICS, "users")))[0].figures
    step = _step(base.window)
    closed = base.window.from_us is not None and base.window.to_us is not None
    course = replace(base, step=step, order=(Order(TIME, descending=False),), limit=STEPS_MAX)
    return Summary(
        totals=totals,
        step=step,
        course=_lines(reports, course) if closed else (),
        by_user=_breakdown(reports, base, "user", totals),
        by_model=_breakdown(reports, base, "model", totals),
        by_provider=_breakdown(reports, base, "provider", totals),
    )


def _breakdown(
    reports: Reports, base: ReportQuery, dimension: str, totals: dict[str, int]
) -> Breakdown:
    asked = replace(base, dimensions=(dimension,), order=(Order("cost"),))
    shown = _lines(reports, asked)
    rest = {name: totals[name] - sum(line.figures[name] for line in shown) for name in METRICS}
    return Breakdown(shown, Line(None, rest) if rest["requests"] else None)


def _lines(reports: Reports, query: ReportQuery) -> tuple[Line, ...]:
    places = len(query.columns) - len(query.metrics)
    return tuple(
        Line(
            name=row[0] if places else None,
            figures={
                name: int(value or 0)
                for name, value in zip(query.metrics, row[places:], strict=True)
            },
        )
        for row in reports.run(query).rows
    )


def _step(window: Window) -> Step:
    if window.from_us is None or window.to_us is None:
        return "day"
    days = (window.to_us - window.from_us) / _DAY_US
    if days <= HOURS_UP_TO_DAYS:
        return "hour"
    return "day" if days <= DAYS_UP_TO_DAYS else "month"
