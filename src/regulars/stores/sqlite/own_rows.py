"""What people's own rows say of them, read from `by_user`: latencies and speed.

A user's rows lie one after another there, with what such figures need, so that reading on costs a
twelfth of a look into `generation`. Values come as one text a user and column, and are sorted here:
window functions took four times as long. What is not folded yet is read from the tail.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from regulars.reports.definitions import METRICS
from regulars.reports.schema import Quantile, Ratio
from regulars.stores.sqlite.fold import OWN_FIGURES

Parts = Sequence[Any]
"""Of one user: what the aggregates of a figure return."""

_TIMED: Final = "own_completion_tokens > 0 AND duration_us > 0"
_RATIOS: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("ttft_ms", "ttft_known"): ("sum(ttft_us)", "count(ttft_us)"),
    ("timed_tokens", "timed_ms"): (
        f"sum(iif({_TIMED}, own_completion_tokens, 0))",
        f"sum(iif({_TIMED}, duration_us, 0))",
    ),
}
_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "ttft_ms": ("group_concat(ttft_us)",),
    "duration_ms": ("group_concat(duration_us)",),
    # Both in the order of the rows.
    "tokens_per_second": (
        f"group_concat(iif({_TIMED}, own_completion_tokens, NULL))",
        f"group_concat(iif({_TIMED}, duration_us, NULL))",
    ),
}
_FOLDED: Final = (
    "by_user WHERE user_id IN (SELECT value FROM json_each(:ids)) AND row >= :first AND row < :past"
)
_TAIL: Final = (
    f"(SELECT end_user_id AS user_id, {', '.join(f'{sql} AS {name}' for name, sql in OWN_FIGURES.items())} "
    "FROM tail CROSS JOIN generation USING (row) WHERE tail.row >= :first AND tail.row < :past "
    "AND +end_user_id IN (SELECT value FROM json_each(:ids)))"
)


def is_own(metric: str) -> bool:
    """Tell whether `by_user` knows this metric of a user, and no rollup does."""
    match METRICS[metric].formula:
        case Ratio(upper, lower):
            return (upper, lower) in _RATIOS
        case Quantile(figure):
            return figure in _VALUES
        case _:
            return False


def own_figures(
    connection: sqlite3.Connection, ids: Sequence[int], rows: range, metrics: Sequence[str]
) -> dict[int, list[float | None]]:
    """Return these metrics of people by their numbers; of those without rows nothing."""
    columns = aggregates(metrics)
    places = [[columns.index(column) for column in _selected(name)] for name in metrics]
    finish = [_finished(name) for name in metrics]
    found: dict[int, list[float | None]] = {}
    for user, parts in _added_up(connection, ids, rows, columns):
        found[user] = [
            last([parts[place] for place in own]) for last, own in zip(finish, places, strict=True)
        ]
    return found


def aggregates(metrics: Sequence[str]) -> list[str]:
    """Return what is asked of the rows for these metrics, each once."""
    return list(dict.fromkeys(column for name in metrics for column in _selected(name)))


def folded_query(columns: Sequence[str]) -> str:
    """Return the SELECT over folded rows: `:ids` of people, rows from `:first` to before `:past`."""
    return f"SELECT user_id, {', '.join(columns)} FROM {_FOLDED} GROUP BY user_id"


def _selected(metric: str) -> tuple[str, ...]:
    match METRICS[metric].formula:
        case Ratio(upper, lower):
            return _RATIOS[upper, lower]
        case Quantile(figure):
            return _VALUES[figure]
        case other:
            raise AssertionError(f"{other!r} is nothing that rows of a user are read for")


def _added_up(
    connection: sqlite3.Connection, ids: Sequence[int], rows: range, columns: Sequence[str]
) -> Iterator[tuple[int, Parts]]:
    """Yield each user once: he may have folded rows, rows in the tail, or both."""
    values = {"ids": json.dumps(ids), "first": rows.start, "past": rows.stop}
    tail = f"SELECT user_id, {', '.join(columns)} FROM {_TAIL} GROUP BY user_id"
    late: dict[int, Parts] = {user: parts for user, *parts in connection.execute(tail, values)}
    for user, *parts in connection.execute(folded_query(columns), values):
        rest = late.pop(user, None)
        yield user, parts if rest is None else [*map(_both, parts, rest)]
    yield from late.items()


def _both(one: Any, other: Any) -> Any:
    """Add up what two SELECTs found of one user."""
    if one is None or other is None:
        return other if one is None else one
    return f"{one},{other}" if isinstance(one, str) else one + other


def _finished(metric: str) -> Callable[[Parts], float | None]:
    match METRICS[metric].formula:
        case Ratio("ttft_ms"):
            return lambda parts: parts[0] / 1000 / parts[1] if parts[1] else None
        case Ratio(scale=scale):
            return lambda parts: parts[0] * scale / (parts[1] / 1000) if parts[1] else None
        case Quantile("tokens_per_second", percent):
            return lambda parts: _nth(_speeds(parts), percent)
        case Quantile(percent=percent):
            return lambda parts: _milliseconds(_nth(_numbers(parts[0]), percent))
        case other:
            raise AssertionError(f"{other!r} is nothing that rows of a user are read for")


def _numbers(text: str | None) -> list[int]:
    return [*map(int, text.split(","))] if text else []


def _speeds(parts: Parts) -> list[float]:
    tokens, times = _numbers(parts[0]), _numbers(parts[1])
    return [count * 1000.0 / (us / 1000) for count, us in zip(tokens, times, strict=True)]


def _nth(values: list[Any], percent: int) -> Any:
    """Return the n-th of c values, n = ceil(c * percent / 100); None of none."""
    values.sort()
    return values[(len(values) * percent + 99) // 100 - 1] if values else None


def _milliseconds(us: int | None) -> float | None:
    return None if us is None else us / 1000
