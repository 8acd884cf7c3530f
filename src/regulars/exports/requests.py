"""Every request as a row: OpenRouter's columns in OpenRouter's order, then more of ours.

Source: openrouter-api.md section 3.6, the request-level CSV. Its `cost_cache` is negative where
caching saved money.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from regulars.exports.table import Column, Page
from regulars.model.caller import ApiKey
from regulars.model.generation import Outcome
from regulars.stores.base import Filter
from regulars.stores.scans import Field, Scans

Cells = Sequence[Any]
KeysByHash = Mapping[str, ApiKey]


@dataclass(frozen=True, slots=True)
class _Made:
    """A column, the fields it is made of, and how; `extra`: not one of OpenRouter's."""

    column: Column
    fields: tuple[Field, ...]
    make: Callable[..., Cells]
    extra: bool = False


def request_columns(*, extra: bool) -> tuple[Column, ...]:
    """Name and type OpenRouter's columns, and with `extra` those of ours behind them."""
    return tuple(made.column for made in _MADE if extra or not made.extra)


def request_pages(
    source: Scans, where: Filter, keys: KeysByHash, *, extra: bool
) -> Generator[Page]:
    """Yield pages of `request_columns`; close it where it is not read to its end."""
    wanted = [made for made in _MADE if extra or not made.extra]
    fields: list[Field] = list(dict.fromkeys(field for made in wanted for field in made.fields))
    with closing(source.scan(where, fields)) as pages:
        for page in pages:
            found = dict(zip(fields, page, strict=True))
            yield [made.make(keys, *[found[field] for field in made.fields]) for made in wanted]


def _same(_keys: KeysByHash, cells: Cells) -> Cells:
    return cells


def _money(_keys: KeysByHash, costs: Cells, prompts: Cells) -> Cells:
    """What nothing was used of costs nothing; what has no known price has no cost."""
    if None not in costs:
        return costs
    return [
        0 if cost is None and prompt is None else cost
        for cost, prompt in zip(costs, prompts, strict=True)
    ]


def _less(keys: KeysByHash, costs: Cells, prompts: Cells) -> Cells:
    return [cost and -cost for cost in _money(keys, costs, prompts)]


def _rest(keys: KeysByHash, totals: Cells, parts: Cells, prompts: Cells) -> Cells:
    """Completion cost: what of the total is not the prompt's."""
    costs = _money(keys, totals, prompts)
    return [cost and cost - (part or 0) for cost, part in zip(costs, parts, strict=True)]


def _nothing(_keys: KeysByHash, cells: Cells) -> Cells:
    return [0] * len(cells)


def _or_nothing(_keys: KeysByHash, costs: Cells) -> Cells:
    return [cost or 0 for cost in costs]


def _whole_ms(_keys: KeysByHash, cells: Cells) -> Cells:
    return [None if ms is None else round(ms) for ms in cells]


def _variant(_keys: KeysByHash, models: Cells) -> Cells:
    variants = {model: model.partition(":")[2] or "standard" for model in set(models)}
    return [variants[model] for model in models]


def _cancelled(_keys: KeysByHash, outcomes: Cells) -> Cells:
    cancelled = Outcome.CANCELLED.value
    return [outcome == cancelled for outcome in outcomes]


def _price_status(_keys: KeysByHash, costs: Cells, prompts: Cells) -> Cells:
    return [
        "unknown" if cost is None and prompt is not None else "priced"
        for cost, prompt in zip(costs, prompts, strict=True)
    ]


def _key_name(keys: KeysByHash, hashes: Cells) -> Cells:
    names = {each: None if each not in keys else keys[each].name for each in set(hashes)}
    return [names[each] for each in hashes]


def _key_disabled(keys: KeysByHash, hashes: Cells) -> Cells:
    states = {each: None if each not in keys else keys[each].disabled for each in set(hashes)}
    return [states[each] for each in hashes]


_MADE: Final = (
    _Made(Column("generation_id", "text"), ("id",), _same),
    _Made(Column("created_at", "time"), ("created_at_us",), _same),
    _Made(Column("cost_total", "usd"), ("cost_nanousd", "prompt_tokens"), _money),
    _Made(Column("cost_web_search", "usd"), ("id",), _nothing),
    _Made(Column("cost_cache", "usd"), ("cache_saving_nanousd", "prompt_tokens"), _less),
    _Made(Column("cost_file_processing", "usd"), ("id",), _nothing),
    _Made(Column("byok_usage_inference", "usd"), ("byok_nanousd",), _or_nothing),
    _Made(Column("tokens_prompt", "count"), ("prompt_tokens",), _same),
    _Made(Column("tokens_completion", "count"), ("completion_tokens",), _same),
    _Made(Column("tokens_reasoning", "count"), ("reasoning_tokens",), _same),
    _Made(Column("tokens_cached", "count"), ("cached_tokens",), _same),
    _Made(Column("model_permaslug", "text"), ("model",), _same),
    _Made(Column("provider_name", "text"), ("provider",), _same),
    _Made(Column("variant", "text"), ("model",), _variant),
    _Made(Column("cancelled", "flag"), ("outcome",), _cancelled),
    _Made(Column("streamed", "flag"), ("streamed",), _same),
    _Made(Column("user", "text"), ("end_user",), _same),
    _Made(Column("finish_reason_raw", "text"), ("native_finish_reason",), _same),
    _Made(Column("finish_reason_normalized", "text"), ("finish_reason",), _same),
    _Made(Column("generation_time_ms", "count"), ("duration_ms",), _whole_ms),
    _Made(Column("time_to_first_token_ms", "count"), ("ttft_ms",), _whole_ms),
    _Made(Column("api_key_disabled", "flag"), ("key_hash",), _key_disabled),
    _Made(Column("api_key_name", "text"), ("key_hash",), _key_name),
    _Made(Column("app_name", "text"), ("app",), _same),
    _Made(Column("session_id", "text"), ("session",), _same, extra=True),
    _Made(Column("endpoint_id", "text"), ("endpoint",), _same, extra=True),
    _Made(Column("outcome", "text"), ("outcome",), _same, extra=True),
    _Made(Column("status", "count"), ("status",), _same, extra=True),
    _Made(Column("error", "text"), ("error",), _same, extra=True),
    _Made(Column("tokens_cache_write", "count"), ("cache_write_tokens",), _same, extra=True),
    _Made(
        Column("cost_prompt", "usd"), ("cost_prompt_nanousd", "prompt_tokens"), _money, extra=True
    ),
    _Made(
        Column("cost_completion", "usd"),
        ("cost_nanousd", "cost_prompt_nanousd", "prompt_tokens"),
        _rest,
        extra=True,
    ),
    _Made(Column("usage_source", "text"), ("usage_source",), _same, extra=True),
    _Made(
        Column("price_status", "text"), ("cost_nanousd", "prompt_tokens"), _price_status, extra=True
    ),
    _Made(Column("api_key_hash", "text"), ("key_hash",), _same, extra=True),
)
