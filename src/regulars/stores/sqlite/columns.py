"""Where the dimensions and figures of reports stand: which column, of which tables.

Rollups have people, models, providers, endpoints and keys, and the sums of `ROLLED_COLUMNS`; all
else is read from rows. In both, "none" is 0 or an empty text, so that groups can be compared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from regulars.reports.definitions import METRICS
from regulars.reports.schema import Distinct, Last, Quantile, Ratio, ReportQuery, Sum
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.rollups import ROW_SUMS
from regulars.stores.sqlite.rows import OUTCOME_CODES
from regulars.stores.sqlite.schema import ROLLED_COLUMNS

Kind = Literal["user", "word", "text", "outcome", "flag"]
"""How a dimension is kept: an id of `end_user`, one of `name`, a text, a code, 0 or 1."""


@dataclass(frozen=True, slots=True)
class Place:
    """A dimension's expression over rows, and its column in rollups where they have it."""

    kind: Kind
    row: str
    rollup: str | None = None


def _id_column(name: str, kind: Kind = "word") -> Place:
    return Place(kind, f"coalesce({name}, {NOBODY_ID})", name)


def _detail(path: str, kind: Kind, none: str) -> Place:
    return Place(kind, f"coalesce(json_extract(details, '$.{path}'), {none})")


PLACES: Final[Mapping[str, Place]] = {
    "user": _id_column("end_user_id", "user"),
    "model": Place("word", "model_id", "model_id"),
    "provider": _id_column("provider_id"),
    "endpoint": _id_column("endpoint_id"),
    "key": Place("word", "key_id", "key_id"),
    "outcome": Place("outcome", "outcome"),
    "session": _detail("session", "text", "''"),
    "finish_reason": _detail("finish_reason", "word", "0"),
    "app": _detail("app", "word", "0"),
    "routing_reason": _detail("attempts[0][2]", "text", "''"),
    "streamed": _detail("streamed", "flag", "0"),
}

BYOK: Final = "byok_nanousd"
"""What providers billed to keys of our own: a figure of rows and of the table `billed`."""
_TIMED: Final = "completion_tokens > 0 AND duration_ms > 0"
_ROLLUP_FIGURES: Final = {name: name for name in ROLLED_COLUMNS} | {
    "total_tokens": "prompt_tokens + completion_tokens",
    "cost_completion_nanousd": "cost_nanousd - cost_prompt_nanousd",
    # Nearly no row has it: the table `billed` is asked beside.
    BYOK: "0",
}
_ROW_FIGURES: Final = dict(zip(ROLLED_COLUMNS, ROW_SUMS, strict=True)) | {
    "total_tokens": "coalesce(prompt_tokens, 0) + coalesce(completion_tokens, 0)",
    "cost_completion_nanousd": "coalesce(cost_nanousd - cost_prompt_nanousd, 0)",
    BYOK: f"coalesce(json_extract(details, '$.{BYOK}'), 0)",
    "ttft_ms": "ttft_ms",
    "ttft_known": "ttft_ms IS NOT NULL",
    "duration_ms": "duration_ms",
    "timed_tokens": f"iif({_TIMED}, completion_tokens, 0)",
    "timed_ms": f"iif({_TIMED}, duration_ms, 0)",
    "tokens_per_second": f"iif({_TIMED}, completion_tokens * 1000.0 / duration_ms, NULL)",
}
_CODES: Final = {outcome.value: code for outcome, code in OUTCOME_CODES.items()}
_OUTCOMES: Final = {code: name for name, code in _CODES.items()}


def figure(name: str, *, of_row: bool) -> str:
    """Return a figure's expression over `generation` or over a rollup."""
    return _ROW_FIGURES[name] if of_row else _ROLLUP_FIGURES[name]


def figures(metrics: Iterable[str]) -> tuple[str, ...]:
    """Return what metrics add up, each once."""
    found: dict[str, None] = {}
    for metric in metrics:
        match METRICS[metric].formula:
            case Sum(one):
                found[one] = None
            case Ratio(upper, lower):
                found[upper] = found[lower] = None
            case Distinct() | Quantile() | Last():
                pass
    return tuple(found)


def counted(metrics: Iterable[str]) -> tuple[str, ...]:
    """Return the dimensions whose different values metrics count."""
    formulas = [METRICS[metric].formula for metric in metrics]
    return tuple(each.dimension for each in formulas if isinstance(each, Distinct))


def dimensions(query: ReportQuery) -> set[str]:
    """Return every dimension that a query touches."""
    wheres = {each.dimension for each in query.where}
    return {*query.dimensions, *wheres, *counted(query.metrics)}


def needs_rows(query: ReportQuery) -> bool:
    """Tell whether rollups lack something that the query asks for."""
    return (
        any(PLACES[name].rollup is None for name in dimensions(query))
        or any(name not in _ROLLUP_FIGURES for name in figures(query.metrics))
        or any(isinstance(METRICS[name].formula, Quantile) for name in query.metrics)
    )


def code(kind: Kind, value: object) -> Any:
    """Return how a value without a dictionary is kept."""
    if kind == "outcome":
        return _CODES.get(str(value), -1)
    if kind == "flag":
        return {True: 1, "true": 1, False: 0, "false": 0}.get(value, -1)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return "" if value is None else str(value)


def meaning(kind: Kind, kept: Any) -> str | bool | None:
    """Return what a kept value without a dictionary means."""
    if kind == "outcome":
        return _OUTCOMES[kept]
    if kind == "flag":
        return bool(kept)
    return kept or None
