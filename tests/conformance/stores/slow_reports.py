"""The slow truth about a report: every row is looked at, in Python, by the words of `reports`."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from regulars.model.generation import Generation, Outcome
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.reports.schema import TIME, Cell, Condition, ReportQuery

DIMENSIONS: dict[str, Callable[[Generation], str | bool | None]] = {
    "user": lambda row: row.end_user,
    "session": lambda row: row.session,
    "model": lambda row: row.model,
    "provider": lambda row: row.provider,
    "endpoint": lambda row: row.endpoint,
    "key": lambda row: row.key_hash,
    "outcome": lambda row: row.outcome.value,
    "finish_reason": lambda row: row.finish_reason,
    "app": lambda row: row.app,
    "routing_reason": lambda row: row.attempts[0].reason if row.attempts else None,
    "streamed": lambda row: row.streamed,
}


def answer(rows: Sequence[Generation], query: ReportQuery) -> dict[tuple[Cell, ...], list[Cell]]:
    """Return metrics by group, the group as it is named in the answer, its time as text."""
    groups: dict[tuple[Cell, ...], list[Generation]] = defaultdict(list)
    if not query.step and not query.dimensions:
        groups[()] = []
    for row in rows:
        if row.account == query.account and _inside(row, query):
            key = tuple(DIMENSIONS[name](row) for name in query.dimensions)
            groups[(step_of(row.created_at_us, query), *key) if query.step else key].append(row)
    return {
        key: [METRICS[metric](found) for metric in query.metrics] for key, found in groups.items()
    }


def step_of(at_us: int, query: ReportQuery) -> str:
    """Name the step a moment lies in by what a clock and a calendar in the zone show."""
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)).astimezone(
        ZoneInfo(query.zone)
    )
    if query.step == "minute":
        return local.isoformat(timespec="minutes")
    if query.step == "hour":
        return f"{local:%Y-%m-%d %H} {local:%z}"
    day = local.date()
    if query.step == "week":
        day -= timedelta(days=day.weekday())
    return f"{day:%Y-%m}" if query.step == "month" else f"{day}"


def as_answer(result_columns: Sequence[str], row: Sequence[Cell], query: ReportQuery) -> Any:
    """Split an answer's row into (group, metrics), its time named as `answer` names it."""
    cells = list(row)
    if result_columns[0] == TIME:
        assert isinstance(cells[0], int)
        cells[0] = step_of(cells[0], query)
    count = len(cells) - len(query.metrics)
    return tuple(cells[:count]), cells[count:]


def _inside(row: Generation, query: ReportQuery) -> bool:
    begin, end = query.window.from_us, query.window.to_us
    return (
        (begin is None or row.created_at_us >= begin)
        and (end is None or row.created_at_us < end)
        and all(_holds(row, condition) for condition in query.where)
    )


def _holds(row: Generation, condition: Condition) -> bool:
    value = DIMENSIONS[condition.dimension](row)
    match condition.operator:
        case "eq" | "in":
            return value in condition.values
        case "neq" | "not_in":
            return value not in condition.values
        case "contains":
            return value is not None and str(condition.values[0]).lower() in str(value).lower()


def _tokens(rows: Sequence[Generation], field: str) -> int:
    return sum(getattr(row.usage or Usage(0, 0), field) or 0 for row in rows)


def _money(rows: Sequence[Generation], field: str) -> int:
    return sum(getattr(row.cost or Cost(0, 0, 0, 0), field) for row in rows)


def _share(upper: float, lower: float) -> float | None:
    return upper / lower if lower else None


def _quantile(values: Sequence[float], percent: int) -> float | None:
    rank = -(-len(values) * percent // 100)
    return sorted(values)[rank - 1] if values else None


def _failed(rows: Sequence[Generation]) -> int:
    return sum(row.outcome is not Outcome.COMPLETED for row in rows)


def _ttft(rows: Sequence[Generation]) -> list[float]:
    return [row.ttft_ms for row in rows if row.ttft_ms is not None]


def _timed(rows: Sequence[Generation]) -> list[tuple[int, float]]:
    """Completion tokens and durations of rows that have both."""
    return [
        (row.usage.completion_tokens, row.duration_ms)
        for row in rows
        if row.usage and row.usage.completion_tokens and row.duration_ms > 0
    ]


def _quantiles(
    prefix: str, values: Callable[[Sequence[Generation]], Sequence[float]]
) -> dict[str, Callable[[Sequence[Generation]], Cell]]:
    def of(percent: int) -> Callable[[Sequence[Generation]], Cell]:
        return lambda rows: _quantile(values(rows), percent)

    return {f"{prefix}_p{percent}": of(percent) for percent in (50, 90, 99)}


METRICS: dict[str, Callable[[Sequence[Generation]], Cell]] = {
    "requests": len,
    "failed_requests": _failed,
    "unpriced_requests": lambda rows: sum(row.price_status == "unknown" for row in rows),
    "users": lambda rows: len({row.end_user for row in rows} - {None}),
    "sessions": lambda rows: len({row.session for row in rows} - {None}),
    "total_tokens": lambda rows: (
        _tokens(rows, "prompt_tokens") + _tokens(rows, "completion_tokens")
    ),
    **{
        name: (lambda rows, name=name: _tokens(rows, name))
        for name in (
            "prompt_tokens",
            "completion_tokens",
            "cached_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
        )
    },
    "cost": lambda rows: _money(rows, "total"),
    "cost_prompt": lambda rows: _money(rows, "prompt"),
    "cost_completion": lambda rows: _money(rows, "completion"),
    "cache_saving": lambda rows: _money(rows, "cache_saving"),
    "byok_cost": lambda rows: sum((row.cost and row.cost.byok) or 0 for row in rows),
    "cached_share": lambda rows: _share(
        _tokens(rows, "cached_tokens"), _tokens(rows, "prompt_tokens")
    ),
    "error_share": lambda rows: _share(_failed(rows), len(rows)),
    "ttft_mean": lambda rows: _share(sum(_ttft(rows)), len(_ttft(rows))),
    **_quantiles("ttft", _ttft),
    **_quantiles("duration", lambda rows: [row.duration_ms for row in rows]),
    "tokens_per_second": lambda rows: _share(
        sum(tokens for tokens, _ in _timed(rows)) * 1000, sum(ms for _, ms in _timed(rows))
    ),
    **_quantiles("throughput", lambda rows: [t * 1000 / ms for t, ms in _timed(rows)]),
    "last_seen": lambda rows: max((row.created_at_us for row in rows), default=None),
}
