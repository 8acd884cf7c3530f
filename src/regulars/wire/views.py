"""Our values under OpenRouter's names, ready for JSON. Source: openrouter-api.md sections 3 to 5.

Money is written as an exact decimal number of USD.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Raw

from regulars.model.catalog import Endpoint, Model
from regulars.model.generation import Generation, Outcome
from regulars.model.money import Price, plain_text, usd_text

Json = dict[str, Any]


def usd(nanousd: int) -> Raw:
    """Write nano-USD as a JSON number."""
    return Raw(usd_text(nanousd).encode())


def iso_time(at_us: int) -> str:
    """Write microseconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="milliseconds")


def generation_view(row: Generation) -> Json:
    """`/generation` with every field the strict SDK needs (section 3.1)."""
    usage, cost = row.usage, row.cost
    total = usd(cost.total if cost is not None else 0)
    return {
        "id": row.id,
        "upstream_id": row.upstream_id,
        "request_id": row.id,
        "session_id": row.session,
        "external_user": row.end_user,
        "created_at": iso_time(row.created_at_us),
        "workspace_id": None,
        "preset_id": None,
        "app_id": None,
        "app_name": row.app,
        "origin": row.referer or "",
        "http_referer": row.referer,
        "user_agent": row.user_agent,
        "data_region": "global",
        "model": row.model,
        "provider_name": row.provider,
        "router": None,
        "api_type": "completions",
        "service_tier": row.service_tier,
        "is_byok": cost is not None and cost.byok is not None,
        "streamed": row.streamed,
        "cancelled": row.outcome is Outcome.CANCELLED,
        "provider_responses": [
            {
                "provider_name": attempt.provider,
                "endpoint_id": attempt.endpoint,
                "status": attempt.status,
                "latency": attempt.duration_ms,
                "is_byok": False,
                "reason": attempt.reason,
                "error": attempt.error,
                "upstream_id": None if attempt.billed is None else attempt.billed.upstream_id,
                "cost": None
                if attempt.billed is None or attempt.billed.cost is None
                else usd(attempt.billed.cost.total),
            }
            for attempt in row.attempts
        ],
        "total_cost": total,
        "usage": total,
        "upstream_inference_cost": None if cost is None or cost.byok is None else usd(cost.byok),
        "cache_discount": None if cost is None else usd(cost.cache_saving),
        "cost_details": None
        if cost is None
        else {
            "upstream_inference_prompt_cost": usd(cost.prompt),
            "upstream_inference_completions_cost": usd(cost.completion),
        },
        "tokens_prompt": usage and usage.prompt_tokens,
        "tokens_completion": usage and usage.completion_tokens,
        "native_tokens_prompt": usage and usage.prompt_tokens,
        "native_tokens_completion": usage and usage.completion_tokens,
        "native_tokens_completion_images": None,
        "native_tokens_reasoning": usage and usage.reasoning_tokens,
        "native_tokens_cached": usage and usage.cached_tokens,
        "native_tokens_cache_write": usage and usage.cache_write_tokens,
        "latency": row.ttft_ms,
        "generation_time": row.duration_ms,
        "moderation_latency": None,
        "finish_reason": row.finish_reason,
        "native_finish_reason": row.native_finish_reason,
        "num_media_prompt": None,
        "num_media_completion": None,
        "num_input_audio_prompt": None,
        "num_search_results": None,
        "num_fetches": None,
        "web_search_engine": None,
        "response_cache_source_id": None,
        "outcome": row.outcome.value,
        "status": row.status,
        "error": row.error,
        "usage_source": None if row.usage_source is None else row.usage_source.value,
        "price_status": row.price_status,
        "cost_source": None if row.cost_source is None else row.cost_source.value,
        "price": row.price,
        "price_version": row.price_version,
    }


def model_view(model: Model) -> Json:
    """One model of `/models` (section 5); prices of its first endpoint, in USD per token."""
    priced = next((e.price for e in model.endpoints if e.price is not None), None)
    return {
        "id": model.id,
        "canonical_slug": model.id,
        "name": model.name,
        "created": model.created,
        "description": f"Served by {_and([e.provider.name for e in model.endpoints])}.",
        "context_length": model.context_length,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": price_view(priced),
        "top_provider": {
            "is_moderated": False,
            "context_length": model.context_length,
            "max_completion_tokens": None,
        },
        "per_request_limits": None,
        "supported_parameters": [],
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": f"/api/v1/models/{model.id}/endpoints"},
        "providers": [e.provider.name for e in model.endpoints],
    }


def endpoint_view(model: Model, endpoint: Endpoint) -> Json:
    """One endpoint of `/models/{author}/{slug}/endpoints` (section 5)."""
    return {
        "name": f"{endpoint.provider.name} | {endpoint.model}",
        "model_id": model.id,
        "model_name": model.name,
        "provider_name": endpoint.provider.name,
        "tag": endpoint.provider.slug,
        "endpoint_id": endpoint.id,
        "context_length": endpoint.context_length or model.context_length or 0,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "pricing": price_view(endpoint.price),
        "quantization": None,
        "supported_parameters": [],
        "supports_implicit_caching": True,
        "uptime_last_5m": None,
        "uptime_last_30m": None,
        "uptime_last_1d": None,
        "latency_last_30m": None,
        "throughput_last_30m": None,
        "status": 0,
        "service_tier": None,
        "supports_tool_choice": {"auto": True, "none": True, "required": True, "function": True},
        "supports_diarization": False,
        "native_tools": {},
    }


def price_view(price: Price | None) -> Json:
    """Prices as decimal strings in USD per token; an unknown price shows as -1."""
    if price is None:
        return {"prompt": "-1", "completion": "-1"}
    shown = {
        "prompt": price.prompt,
        "completion": price.completion,
        "request": price.request,
        "input_cache_read": price.cache_read,
        "input_cache_write": price.cache_write,
        "input_cache_write_1h": price.cache_write_1h,
        "audio": price.audio,
        "audio_output": price.audio_output,
    }
    return {name: plain_text(value) for name, value in shown.items() if value is not None}


def _and(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} and {unique[-1]}"
