"""Every dimension, metric and figure there is: the one list that API, pages, CLI and docs read."""

from collections.abc import Collection, Iterable
from types import MappingProxyType
from typing import Final, get_args

from regulars.reports.schema import (
    BUCKETS_MAX,
    CONDITIONS_MAX,
    DIMENSIONS_MAX,
    LIMIT_MAX,
    TIME,
    VALUES_MAX,
    Dimension,
    Distinct,
    Last,
    Metric,
    Operator,
    Quantile,
    Ratio,
    ReportError,
    ReportQuery,
    Step,
    Sum,
)

STEPS: Final[tuple[Step, ...]] = get_args(Step)
OPERATORS: Final[tuple[Operator, ...]] = get_args(Operator)
STEPS_BY_NAME: Final = MappingProxyType[str, Step]({each: each for each in STEPS})
OPERATORS_BY_NAME: Final = MappingProxyType[str, Operator]({each: each for each in OPERATORS})

_DIMENSIONS: Final = (
    Dimension("user", "End user", "The request's `user`.", "external_user"),
    Dimension("session", "Session", "The request's `session_id`.", "session_id"),
    Dimension("model", "Model", "The model that was asked for.", "model"),
    Dimension("provider", "Provider", "Who ran the model.", "provider"),
    Dimension("endpoint", "Endpoint", "One provider's offer of one model.", "endpoint_id"),
    Dimension("key", "API key", "The key's public hash.", "api_key_id"),
    Dimension("outcome", "Outcome", "How the generation ended."),
    Dimension("finish_reason", "Finish reason", "Why the model stopped.", "finish_reason"),
    Dimension("app", "App", "The calling application's name.", "app"),
    Dimension("routing_reason", "Routing reason", "Why the first endpoint was chosen."),
    Dimension("streamed", "Streamed", "Whether the answer was streamed.", is_flag=True),
)

_METRICS: Final = (
    Metric("requests", "Requests", "requests", Sum("requests"), "Accepted requests.", ("request_count",)),
    Metric("failed_requests", "Failed", "requests", Sum("failed"), "Outcomes other than completed."),
    Metric(
        "unpriced_requests", "Unpriced", "requests", Sum("unpriced"),
        "Requests with usage whose price nobody knows: no cost counts them.",
    ),
    Metric("users", "Users", "users", Distinct("user"), "Different end users."),
    Metric("sessions", "Sessions", "sessions", Distinct("session"), "Different sessions."),
    Metric(
        "total_tokens", "Tokens", "tokens", Sum("total_tokens"),
        "Prompt and completion tokens.", ("tokens_total",),
    ),
    Metric(
        "prompt_tokens", "Prompt tokens", "tokens", Sum("prompt_tokens"),
        "All input, cached reads and writes included.", ("tokens_prompt",),
    ),
    Metric(
        "completion_tokens", "Completion tokens", "tokens", Sum("completion_tokens"),
        "All output, reasoning included.", ("tokens_completion",),
    ),
    Metric(
        "cached_tokens", "Cached tokens", "tokens", Sum("cached_tokens"),
        "Prompt tokens read from a provider's cache.", ("cached_tokens",),
    ),
    Metric(
        "cache_write_tokens", "Cache write tokens", "tokens", Sum("cache_write_tokens"),
        "Prompt tokens written to a provider's cache.",
    ),
    Metric(
        "reasoning_tokens", "Reasoning tokens", "tokens", Sum("reasoning_tokens"),
        "Completion tokens spent on reasoning.", ("reasoning_tokens",),
    ),
    Metric(
        "cost", "Cost", "nanousd", Sum("cost_nanousd"),
        "What priced requests cost.", ("total_usage", "credits_usage"),
    ),
    Metric("cost_prompt", "Prompt cost", "nanousd", Sum("cost_prompt_nanousd"), "Part of the cost."),
    Metric(
        "cost_completion", "Completion cost", "nanousd", Sum("cost_completion_nanousd"),
        "The other part of the cost.",
    ),
    Metric(
        "byok_cost", "Billed by providers", "nanousd", Sum("byok_nanousd"),
        "The part of the cost that providers bill to keys of our own.", ("byok_usage",),
    ),
    Metric(
        "cache_saving", "Saved by caching", "nanousd", Sum("cache_saving_nanousd"),
        "What the same tokens would have cost more without a cache.",
    ),
    Metric(
        "cached_share", "Cached share", "share", Ratio("cached_tokens", "prompt_tokens"),
        "Cached tokens over prompt tokens.", ("cache_hit_rate",),
    ),
    Metric(
        "error_share", "Error share", "share", Ratio("failed", "requests"),
        "Failed requests over requests.",
    ),
    Metric(
        "ttft_mean", "Time to first token, mean", "ms", Ratio("ttft_ms", "ttft_known"),
        "From acceptance to the first content.", ("avg_latency",),
    ),
    *(
        Metric(
            f"ttft_p{percent}", f"Time to first token, p{percent}", "ms",
            Quantile("ttft_ms", percent), "From acceptance to the first content.",
            (f"p{percent}_latency",),
        )
        for percent in (50, 90, 99)
    ),
    *(
        Metric(
            f"duration_p{percent}", f"Duration, p{percent}", "ms",
            Quantile("duration_ms", percent), "From acceptance to the end.",
        )
        for percent in (50, 90, 99)
    ),
    Metric(
        "tokens_per_second", "Tokens per second", "tokens/s",
        Ratio("timed_tokens", "timed_ms", scale=1000.0),
        "Completion tokens over the durations of the requests that had any.", ("avg_throughput",),
    ),
    *(
        Metric(
            f"throughput_p{percent}", f"Tokens per second, p{percent}", "tokens/s",
            Quantile("tokens_per_second", percent),
            "Completion tokens over the duration, request by request.", (f"p{percent}_throughput",),
        )
        for percent in (50, 90, 99)
    ),
    Metric("last_seen", "Last seen", "us", Last(), "When the last request was accepted."),
)  # fmt: skip

DIMENSIONS: Final = MappingProxyType({each.name: each for each in _DIMENSIONS})
METRICS: Final = MappingProxyType({each.name: each for each in _METRICS})

METRIC_NAMES: Final = MappingProxyType(
    {name: each.name for each in _METRICS for name in (*each.openrouter, each.name)}
)
"""Every name a metric is called by, OpenRouter's too → its own."""
DIMENSION_NAMES: Final = MappingProxyType(
    {name: each.name for each in _DIMENSIONS for name in (each.openrouter, each.name) if name}
)


def check(query: ReportQuery) -> None:
    """Refuse what nobody can answer.

    Raises:
        ReportError: names what was wrong and what is known.
    """
    if not query.metrics:
        raise ReportError(f"metrics: none asked for; known: {', '.join(METRICS)}")
    _known("metrics", query.metrics, METRICS)
    _known("dimensions", query.dimensions, DIMENSIONS)
    _known("filters", [each.dimension for each in query.where], DIMENSIONS)
    _known("filters: operator", [each.operator for each in query.where], OPERATORS)
    if query.step is not None:
        _known("granularity", [query.step], STEPS)
    _known("order_by", [each.name for each in query.order], query.columns)
    for name, names in (("metrics", query.metrics), ("dimensions", query.dimensions)):
        if len(set(names)) < len(names):
            raise ReportError(f"{name}: {names!r} has one twice; name each once")
    _at_most("dimensions", len(query.dimensions), DIMENSIONS_MAX)
    _at_most("filters", len(query.where), CONDITIONS_MAX)
    for condition in query.where:
        _at_most(f"filters: values of {condition.dimension}", len(condition.values), VALUES_MAX)
        if condition.operator in ("eq", "neq", "contains") and len(condition.values) != 1:
            raise ReportError(f"filters: {condition.operator} takes one value; use in or not_in")
    if not 1 <= query.limit <= LIMIT_MAX:
        raise ReportError(f"limit: {query.limit} is not a number from 1 to {LIMIT_MAX}")
    if query.step and (query.window.from_us is None or query.window.to_us is None):
        raise ReportError(f"{TIME}: a granularity needs both ends of the time range")


def too_many_buckets(count: int) -> ReportError:
    """Return the error of a step too fine for its window."""
    return ReportError(
        f"granularity: over {min(count, BUCKETS_MAX)} steps of time; "
        "ask for a coarser one or a shorter range"
    )


def _known(what: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ReportError(f"{what}: {name[:50]!r} is not known; known: {', '.join(known)}")


def _at_most(what: str, count: int, most: int) -> None:
    if count > most:
        raise ReportError(f"{what}: {count} are more than {most}; ask for fewer at once")
