"""Every request as a row: OpenRouter's columns in OpenRouter's order, then more of ours.

Source: openrouter-api.md section 3.6, the request-level CSV. Its `cost_cache` is negative where
caching saved money.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from regulars.exports.table import Column, Row
from regulars.model.caller import ApiKey
from regulars.model.generation import Generation, Outcome

COLUMNS: Final = (
    Column("generation_id", "text"),
    Column("created_at", "time"),
    Column("cost_total", "usd"),
    Column("cost_web_search", "usd"),
    Column("cost_cache", "usd"),
    Column("cost_file_processing", "usd"),
    Column("byok_usage_inference", "usd"),
    Column("tokens_prompt", "count"),
    Column("tokens_completion", "count"),
    Column("tokens_reasoning", "count"),
    Column("tokens_cached", "count"),
    Column("model_permaslug", "text"),
    Column("provider_name", "text"),
    Column("variant", "text"),
    Column("cancelled", "flag"),
    Column("streamed", "flag"),
    Column("user", "text"),
    Column("finish_reason_raw", "text"),
    Column("finish_reason_normalized", "text"),
    Column("generation_time_ms", "count"),
    Column("time_to_first_token_ms", "count"),
    Column("api_key_disabled", "flag"),
    Column("api_key_name", "text"),
    Column("app_name", "text"),
    Column("session_id", "text", extra=True),
    Column("endpoint_id", "text", extra=True),
    Column("outcome", "text", extra=True),
    Column("status", "count", extra=True),
    Column("error", "text", extra=True),
    Column("tokens_cache_write", "count", extra=True),
    Column("cost_prompt", "usd", extra=True),
    Column("cost_completion", "usd", extra=True),
    Column("usage_source", "text", extra=True),
    Column("price_status", "text", extra=True),
    Column("api_key_hash", "text", extra=True),
)


def request_rows(
    pages: Iterable[Sequence[Generation]], keys: Mapping[str, ApiKey]
) -> Iterator[list[Row]]:
    """Turn pages of generations into rows of COLUMNS; `keys` by their hash."""
    for page in pages:
        yield [_row(each, keys.get(each.key_hash)) for each in page]


def _row(row: Generation, key: ApiKey | None) -> Row:
    usage, cost = row.usage, row.cost
    # What nothing was used of costs nothing; what has no known price has no cost.
    free = 0 if usage is None else None
    _, _, variant = row.model.partition(":")
    return (
        row.id,
        row.created_at_us,
        free if cost is None else cost.total,
        0,
        free if cost is None else -cost.cache_saving,
        0,
        0,
        None if usage is None else usage.prompt_tokens,
        None if usage is None else usage.completion_tokens,
        None if usage is None else usage.reasoning_tokens,
        None if usage is None else usage.cached_tokens,
        row.model,
        row.provider,
        variant or "standard",
        row.outcome is Outcome.CANCELLED,
        row.streamed,
        row.end_user,
        row.native_finish_reason,
        row.finish_reason,
        round(row.duration_ms),
        None if row.ttft_ms is None else round(row.ttft_ms),
        None if key is None else key.disabled,
        None if key is None else key.name,
        row.app,
        row.session,
        row.endpoint,
        row.outcome,
        row.status,
        row.error,
        None if usage is None else usage.cache_write_tokens,
        free if cost is None else cost.prompt,
        free if cost is None else cost.completion,
        row.usage_source,
        row.price_status,
        row.key_hash,
    )
