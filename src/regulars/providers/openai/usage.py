"""Token counts as the common dialect and its relatives report them → `Usage`, inclusive."""

import math
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Raw

from regulars.model.tokens import TOKENS_MAX, Usage

_Tokens = Annotated[int, Meta(ge=0, le=TOKENS_MAX)] | None
"""Checked as it is decoded: what is odd is read once more, and clamped."""

DIGITS_MAX: Final = 18
"""Of a count written as text; more is no count."""
NESTING_MAX: Final = 3
"""Objects within a `usage` object that are looked into."""


class _CacheCreation(msgspec.Struct, frozen=True):
    ephemeral_1h_input_tokens: _Tokens = None


class _PromptDetails(msgspec.Struct, frozen=True):
    cached_tokens: _Tokens = None
    cache_write_tokens: _Tokens = None
    cache_creation_tokens: _Tokens = None
    cache_creation_input_tokens: _Tokens = None  # Qwen
    cache_creation: _CacheCreation | None = None
    cache_creation_token_details: _CacheCreation | None = None  # LiteLLM
    audio_tokens: _Tokens = None


class _CompletionDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: _Tokens = None
    audio_tokens: _Tokens = None


class _CacheDetail(msgspec.Struct, frozen=True):
    ttl: str | None = None
    tokens: _Tokens = msgspec.field(default=None, name="inputTokens")


class _Usage(msgspec.Struct):
    prompt_tokens: _Tokens = None
    completion_tokens: _Tokens = None
    total_tokens: _Tokens = None
    prompt_tokens_details: _PromptDetails | None = None
    prompt_token_details: _PromptDetails | None = None  # Mistral, beside or in place of the plural
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: _Tokens = None  # DeepSeek
    cached_tokens: _Tokens = None  # Moonshot, at the top
    num_cached_tokens: _Tokens = None  # Mistral
    reasoning_tokens: _Tokens = None  # SGLang and Perplexity, at the top
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
    cache_details: tuple[_CacheDetail, ...] = msgspec.field(default=(), name="cacheDetails")


_NO_PROMPT_DETAILS: Final = _PromptDetails()
_NO_COMPLETION_DETAILS: Final = _CompletionDetails()
_USAGE: Final = msgspec.json.Decoder(_Usage)
_ANY: Final = msgspec.json.Decoder(dict[str, Any], float_hook=float)


def read_usage(raw: Raw | bytes) -> Usage | None:
    """Read a `usage` object; None when it is null, malformed or counts nothing.

    Hostile figures (negative, fractional, absurdly large) are clamped here, and one that is no
    number counts as not given; that parts stay within their parents is `billing.price.sane`'s work.
    """
    try:
        reported = _USAGE.decode(raw)
    except msgspec.ValidationError:
        reported = _what_is_readable(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if reported is None:
        return None
    prompt, completion = reported.prompt_tokens, reported.completion_tokens
    if prompt is None and completion is None:
        return _other_names(reported)
    return _common(reported, prompt or 0, completion or 0)


def _common(reported: _Usage, prompt: int, completion: int) -> Usage:
    inside = reported.prompt_tokens_details or reported.prompt_token_details or _NO_PROMPT_DETAILS
    said = reported.completion_tokens_details or _NO_COMPLETION_DETAILS
    reasoning = _first(said.reasoning_tokens, reported.reasoning_tokens)
    read = _first(
        inside.cached_tokens,
        reported.prompt_cache_hit_tokens,
        reported.cached_tokens,
        reported.num_cached_tokens,
        reported.cache_read_input_tokens,
    )
    write = _first(
        inside.cache_write_tokens,
        inside.cache_creation_tokens,
        inside.cache_creation_input_tokens,
        reported.cache_creation_input_tokens,
    )
    total = reported.total_tokens
    rest = 0 if total is None else total - prompt - completion
    if (
        reported.cache_read_input_tokens is not None
        or reported.cache_creation_input_tokens is not None
    ):
        apart = (read or 0) + (write or 0)
        if apart and _lies_beside(reported, apart, rest, prompt, reasoning or 0):
            prompt, rest = prompt + apart, rest - apart
    # Google's and xAI's common dialects leave out of `completion_tokens` what was thought, and
    # billed as output: only the total has it.
    beside = rest if rest > 0 and reasoning in (None, 0, rest) else 0
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion + beside,
        cached_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=_hour(reported, inside),
        reasoning_tokens=beside or reasoning,
        audio_tokens=inside.audio_tokens,
        audio_output_tokens=said.audio_tokens,
    )


def _lies_beside(reported: _Usage, apart: int, rest: int, prompt: int, reasoning: int) -> bool:
    """Tell whether what the cache did is not in `prompt_tokens`, as some gateways before Claude say.

    Under Anthropic's names, which mean it to be apart, where the total says so or there is more of
    it than prompt.
    """
    if rest > 0:
        return rest in (apart, apart + reasoning)
    return apart > prompt and reported.prompt_tokens_details is None


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


def _hour(reported: _Usage, inside: _PromptDetails = _NO_PROMPT_DETAILS) -> int | None:
    """Return what was written for an hour, not for five minutes."""
    created = (
        reported.cache_creation or inside.cache_creation or inside.cache_creation_token_details
    )
    if created is not None:
        return created.ephemeral_1h_input_tokens
    if not reported.cache_details:
        return None
    return sum(one.tokens or 0 for one in reported.cache_details if one.ttl == "1h")


def _what_is_readable(raw: Raw | bytes) -> _Usage | None:
    """Read an object with odd figures: those that are numbers clamped, without the others."""
    try:
        return msgspec.convert(_numbers(_ANY.decode(raw), NESTING_MAX), _Usage)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _numbers(fields: dict[str, Any], depth: int) -> dict[str, Any]:
    """Keep what is a number where counts stand, and an object anywhere else."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if not name.endswith(("tokens", "Tokens")):
            if isinstance(value, dict) and depth:
                found[name] = _numbers(value, depth - 1)
        elif isinstance(value, str) and value.isdecimal() and len(value) <= DIGITS_MAX:
            found[name] = _count(int(value))
        elif type(value) is int or (isinstance(value, float) and math.isfinite(value)):
            found[name] = _count(value)
    return found


def _count(value: float) -> int:
    return int(min(max(value, 0), TOKENS_MAX))


def _first(*candidates: int | None) -> int | None:
    for candidate in candidates:
        if candidate is not None:
            return candidate
    return None
