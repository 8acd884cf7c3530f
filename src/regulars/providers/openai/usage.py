"""Token counts as the common dialect and its relatives report them → `Usage`, inclusive."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from regulars.model.tokens import TOKENS_MAX, Usage

_Tokens = Annotated[int, Meta(ge=0, le=TOKENS_MAX)] | None


class _PromptDetails(msgspec.Struct, frozen=True):
    cached_tokens: _Tokens = None
    cache_write_tokens: _Tokens = None
    cache_creation_tokens: _Tokens = None
    audio_tokens: _Tokens = None


class _CompletionDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: _Tokens = None
    audio_tokens: _Tokens = None


class _CacheCreation(msgspec.Struct):
    ephemeral_1h_input_tokens: _Tokens = None


class _Usage(msgspec.Struct):
    prompt_tokens: _Tokens = None
    completion_tokens: _Tokens = None
    total_tokens: _Tokens = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: _Tokens = None  # DeepSeek
    cached_tokens: _Tokens = None  # Moonshot, at the top
    input_tokens: _Tokens = None  # Anthropic: without what a cache read or wrote
    output_tokens: _Tokens = None
    cache_read_input_tokens: _Tokens = None
    cache_creation_input_tokens: _Tokens = None
    cache_creation: _CacheCreation | None = None
    input_tokens_details: _PromptDetails | None = None  # OpenAI's Responses: input includes all
    output_tokens_details: _CompletionDetails | None = None
    input_tokens_camel: _Tokens = msgspec.field(default=None, name="inputTokens")  # Bedrock
    output_tokens_camel: _Tokens = msgspec.field(default=None, name="outputTokens")
    cache_read_camel: _Tokens = msgspec.field(default=None, name="cacheReadInputTokens")
    cache_write_camel: _Tokens = msgspec.field(default=None, name="cacheWriteInputTokens")


_NO_PROMPT_DETAILS: Final = _PromptDetails()
_NO_COMPLETION_DETAILS: Final = _CompletionDetails()
_USAGE: Final = msgspec.json.Decoder(_Usage)


def read_usage(raw: Raw | bytes) -> Usage | None:
    """Read a `usage` object; None when it is null, malformed or counts nothing.

    Hostile figures (negative, fractional, absurdly large) are clamped here; that parts stay
    within their parents is `billing.price.sane`'s work.
    """
    reported = _decode(raw)
    if reported is None:
        return None
    prompt, completion = reported.prompt_tokens, reported.completion_tokens
    if prompt is None and completion is None:
        return _other_names(reported)
    prompt_details = reported.prompt_tokens_details or _NO_PROMPT_DETAILS
    completion_details = reported.completion_tokens_details or _NO_COMPLETION_DETAILS
    reasoning = completion_details.reasoning_tokens
    beside = _thought_beside(prompt or 0, completion or 0, reported.total_tokens, reasoning)
    return Usage(
        prompt_tokens=prompt or 0,
        completion_tokens=(completion or 0) + beside,
        cached_tokens=_first(
            prompt_details.cached_tokens,
            reported.prompt_cache_hit_tokens,
            reported.cached_tokens,
            reported.cache_read_input_tokens,
        ),
        cache_write_tokens=_first(
            prompt_details.cache_write_tokens,
            prompt_details.cache_creation_tokens,
            reported.cache_creation_input_tokens,
        ),
        cache_write_1h_tokens=_hour(reported),
        reasoning_tokens=beside or reasoning,
        audio_tokens=prompt_details.audio_tokens,
        audio_output_tokens=completion_details.audio_tokens,
    )


def _thought_beside(prompt: int, completion: int, total: int | None, reasoning: int | None) -> int:
    """Return reasoning that is billed as output but not in `completion_tokens`.

    Google's and xAI's common dialects leave it out: only the total has it.
    """
    rest = 0 if total is None else total - prompt - completion
    return rest if rest > 0 and reasoning in (None, 0, rest) else 0


def _other_names(reported: _Usage) -> Usage | None:
    """Read the shapes that do not speak of prompts: Anthropic's, Bedrock's, the Responses API's."""
    fresh = _first(reported.input_tokens, reported.input_tokens_camel)
    completion = _first(reported.output_tokens, reported.output_tokens_camel)
    if fresh is None and completion is None:
        return None
    inside = reported.input_tokens_details
    thought = reported.output_tokens_details or _NO_COMPLETION_DETAILS
    if inside is not None:
        read, write, apart = inside.cached_tokens, inside.cache_write_tokens, 0
    else:
        read = _first(reported.cache_read_input_tokens, reported.cache_read_camel)
        write = _first(reported.cache_creation_input_tokens, reported.cache_write_camel)
        apart = (read or 0) + (write or 0)
    return Usage(
        prompt_tokens=(fresh or 0) + apart,
        completion_tokens=completion or 0,
        cached_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=_hour(reported),
        reasoning_tokens=thought.reasoning_tokens,
    )


def _hour(reported: _Usage) -> int | None:
    created = reported.cache_creation
    return None if created is None else created.ephemeral_1h_input_tokens


def _first(*candidates: int | None) -> int | None:
    for candidate in candidates:
        if candidate is not None:
            return candidate
    return None


def _decode(raw: Raw | bytes) -> _Usage | None:
    """Read the fields we know; hostile figures once more, clamped."""
    try:
        return _USAGE.decode(raw)
    except msgspec.ValidationError:
        return _decode_clamped(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _decode_clamped(raw: Raw | bytes) -> _Usage | None:
    try:
        return msgspec.convert(_clamped(msgspec.json.decode(raw)), _Usage)
    except (msgspec.ValidationError, RecursionError):
        return None


def _clamped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _clamped(one) for name, one in value.items()}
    if type(value) is float or type(value) is int:
        return int(min(max(value, 0), TOKENS_MAX))
    return value
