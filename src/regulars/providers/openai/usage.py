"""Token counts as the common dialect and its relatives report them → `Usage`, inclusive."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from regulars.model.tokens import TOKENS_MAX, Usage


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | float | None = None
    cache_write_tokens: int | float | None = None
    cache_creation_tokens: int | float | None = None
    audio_tokens: int | float | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int | float | None = None
    audio_tokens: int | float | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | float | None = None
    completion_tokens: int | float | None = None
    total_tokens: int | float | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: int | float | None = None  # DeepSeek
    cached_tokens: int | float | None = None  # Moonshot, at the top


_USAGE: Final = msgspec.json.Decoder(_Usage)


def read_usage(raw: Raw | bytes) -> Usage | None:
    """Read a `usage` object; None when it is null, malformed or counts nothing.

    Hostile figures (negative, fractional, absurdly large) are clamped here; that parts stay
    within their parents is `billing.price.sane`'s work.
    """
    try:
        reported = _USAGE.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    prompt, completion = _count(reported.prompt_tokens), _count(reported.completion_tokens)
    if prompt is None and completion is None:
        return None
    prompt_details = reported.prompt_tokens_details or _PromptDetails()
    completion_details = reported.completion_tokens_details or _CompletionDetails()
    return Usage(
        prompt_tokens=prompt or 0,
        completion_tokens=completion or 0,
        cached_tokens=_first(
            prompt_details.cached_tokens,
            reported.prompt_cache_hit_tokens,
            reported.cached_tokens,
        ),
        cache_write_tokens=_first(
            prompt_details.cache_write_tokens, prompt_details.cache_creation_tokens
        ),
        reasoning_tokens=_count(completion_details.reasoning_tokens),
        audio_tokens=_count(prompt_details.audio_tokens),
        audio_output_tokens=_count(completion_details.audio_tokens),
    )


def _first(*candidates: float | None) -> int | None:
    for candidate in candidates:
        if candidate is not None:
            return _count(candidate)
    return None


def _count(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= TOKENS_MAX):
        return value
    return int(min(max(value, 0), TOKENS_MAX))
