"""Usage x price → cost, exactly; estimates and sane figures where an upstream gave none.

Prices are Decimal, but a request pays no Decimal arithmetic: an endpoint's price is turned
once into a `Tariff`, whole numbers on one common scale, and every sum after that is exact
integer arithmetic. The tests hold it against the slow Decimal formula.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from regulars.model.money import TOKENS_PER_MILLION, Cost, Price, plain_text
from regulars.model.tokens import TOKENS_MAX, Usage

BYTES_PER_TOKEN: Final = 4
"""Rule of thumb for text whose tokens nobody counted."""

TARIFFS_MAX: Final = 4096
"""How many prices are kept in their prepared form; more than any catalog has endpoints."""

PARTS: Final = (
    "prompt",
    "completion",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "audio",
    "audio_output",
    "request",
)
"""What a plain price has a figure for, in the order in which it is written."""

_NANO_DIGITS: Final = 9


class UsageError(ValueError):
    """Token counts that contradict each other: `sane` them first."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """A price as whole numbers: nano-USD per token (or request) times `scale`."""

    scale: int
    prompt: int
    completion: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    audio: int
    audio_output: int
    request: int
    text: str
    """The price in words, for the rows it is applied to."""


_prepared: dict[int, tuple[Price, Tariff]] = {}


def tariff(price: Price) -> Tariff:
    """Return a price prepared for fast exact use; the last TARIFFS_MAX are kept.

    Kept by the price's address, which is its own as long as the price is held beside it: a
    price's hash, of eleven decimals, took as long as all the arithmetic.
    """
    found = _prepared.get(id(price))
    if found is not None and found[0] is price:
        return found[1]
    if len(_prepared) >= TARIFFS_MAX:
        _prepared.clear()
    prepared = _prepare(price)
    _prepared[id(price)] = (price, prepared)
    return prepared


def _prepare(price: Price) -> Tariff:
    """Turn a price into whole numbers; a part without a price gets its parent's."""
    cache_write = price.prompt if price.cache_write is None else price.cache_write
    parts = {
        "prompt": price.prompt,
        "completion": price.completion,
        "cache_read": price.prompt if price.cache_read is None else price.cache_read,
        "cache_write": cache_write,
        "cache_write_1h": cache_write if price.cache_write_1h is None else price.cache_write_1h,
        "audio": price.prompt if price.audio is None else price.audio,
        "audio_output": price.completion if price.audio_output is None else price.audio_output,
        "request": price.request,
    }
    digits = max(_NANO_DIGITS, _decimals(parts.values()))
    whole = {name: int(value.scaleb(digits)) for name, value in parts.items()}
    return Tariff(scale=10 ** (digits - _NANO_DIGITS), text=price_text(price), **whole)


def price_text(price: Price) -> str:
    """Write a plain price: USD per million tokens (`request`: USD per request), parts it has.

    `prompt 0.6 completion 0.8 cache_read 0.06`; the same price is always the same text.
    """
    parts = [
        (name, value * (1 if name == "request" else TOKENS_PER_MILLION))
        for name in PARTS
        if (value := getattr(price, name)) is not None and (value or name != "request")
    ]
    return " ".join(f"{name} {plain_text(value)}" for name, value in parts)


def read_price_text(text: str) -> Price:
    """Read what `price_text` wrote.

    Raises:
        ValueError: it is no such text.
    """
    words = text.split(" ")
    try:
        given = {
            name: Decimal(value) / (1 if name == "request" else TOKENS_PER_MILLION)
            for name, value in zip(words[::2], words[1::2], strict=True)
        }
        return Price(**given)  # pyright: ignore[reportArgumentType] - an unknown name is refused
    except (TypeError, InvalidOperation) as exc:
        raise ValueError(f"{text!r} is not a price as rows keep it") from exc


def cost(usage: Usage, price: Price, at_us: int | None = None) -> Cost:
    """Price one generation in nano-USD; each figure is rounded once, half to even.

    A price with tiers or dates counts as it is for this prompt's length and this time; without
    a time, as it was when it was looked up.

    The total is the rounded exact sum and the prompt's part is what the completion's rounded
    part leaves of it, so that the two always add up. Parts nobody reported are priced as
    fresh input: no discount without evidence. Audio tokens are taken to be fresh ones; those
    beyond the fresh ones were read from the cache and cost what cached tokens cost.

    Raises:
        UsageError: parts exceed their parent.
    """
    if price.tiers or price.dated:
        price = price.of(usage.prompt_tokens, at_us)
    return rated(usage, tariff(price))


def rated(usage: Usage, rates: Tariff) -> Cost:
    """Price one generation by a prepared price; see `cost`."""
    scale = rates.scale
    cached = usage.cached_tokens or 0
    written = usage.cache_write_tokens or 0
    fresh = usage.prompt_tokens - cached - written
    if fresh < 0:
        raise UsageError(
            f"cached_tokens {cached} + cache_write_tokens {written} exceed "
            f"prompt_tokens {usage.prompt_tokens}"
        )
    completion = usage.completion_tokens * rates.completion
    if usage.audio_output_tokens:
        completion += _audio_output_premium(usage, usage.audio_output_tokens, rates)
    prompt = fresh * rates.prompt + rates.request
    saving = 0
    if cached:
        read = cached * rates.cache_read
        prompt += read
        saving = cached * rates.prompt - read
    if written:
        write = _write_cost(usage, written, rates)
        prompt += write
        saving -= write - written * rates.prompt
    if usage.audio_tokens:
        prompt += min(usage.audio_tokens, fresh) * (rates.audio - rates.prompt)
    total_nano = _half_even(prompt + completion, scale)
    completion_nano = _half_even(completion, scale)
    return Cost(
        total=total_nano,
        prompt=total_nano - completion_nano,
        completion=completion_nano,
        cache_saving=_half_even(saving, scale) if saving else 0,
    )


def sane(usage: Usage) -> Usage:
    """Clamp whatever an upstream claims to counts that can be true together.

    Negative counts become 0 and absurd ones `TOKENS_MAX`. A part is cut to its parent, the
    cache's write to what its reads leave of the prompt; a one-hour write without a figure for
    all writes stands for them all. What is consistent comes back as the same object.
    """
    if _is_sane(usage):
        return usage
    prompt, completion = _within(usage.prompt_tokens), _within(usage.completion_tokens)
    cached = _part(usage.cached_tokens, prompt)
    room = prompt - (cached or 0)
    hour = usage.cache_write_1h_tokens
    written = _part(hour if usage.cache_write_tokens is None else usage.cache_write_tokens, room)
    clamped = Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=_part(hour, written or 0),
        reasoning_tokens=_part(usage.reasoning_tokens, completion),
        audio_tokens=_part(usage.audio_tokens, prompt),
        audio_output_tokens=_part(usage.audio_output_tokens, completion),
    )
    return usage if clamped == usage else clamped


def _is_sane(usage: Usage) -> bool:
    """Tell the common case, nothing but reads from a cache, without building anything."""
    return (
        usage.cache_write_tokens is None
        and usage.cache_write_1h_tokens is None
        and usage.audio_tokens is None
        and usage.audio_output_tokens is None
        and 0 <= (usage.cached_tokens or 0) <= usage.prompt_tokens <= TOKENS_MAX
        and 0 <= (usage.reasoning_tokens or 0) <= usage.completion_tokens <= TOKENS_MAX
    )


def estimate(prompt_bytes: int, completion_bytes: int) -> Usage:
    """Guess tokens from bytes of text: four to a token, at least one where there is any."""
    return Usage(
        prompt_tokens=_tokens_of(prompt_bytes), completion_tokens=_tokens_of(completion_bytes)
    )


def _decimals(values: Iterable[Decimal]) -> int:
    """Return how many decimal places the most precise of the values has."""
    return max(-int(value.as_tuple().exponent) for value in values)


def _write_cost(usage: Usage, written: int, rates: Tariff) -> int:
    hour = usage.cache_write_1h_tokens or 0
    if hour > written:
        raise UsageError(f"cache_write_1h_tokens {hour} exceed cache_write_tokens {written}")
    return (written - hour) * rates.cache_write + hour * rates.cache_write_1h


def _audio_output_premium(usage: Usage, audio: int, rates: Tariff) -> int:
    if audio > usage.completion_tokens:
        raise UsageError(
            f"audio_output_tokens {audio} exceed completion_tokens {usage.completion_tokens}"
        )
    return audio * (rates.audio_output - rates.completion)


def _half_even(scaled: int, scale: int) -> int:
    """Divide by the scale and round half to even; right for negative numbers too."""
    whole, rest = divmod(scaled, scale)
    twice = rest + rest
    if twice > scale or (twice == scale and whole & 1):
        return whole + 1
    return whole


def _within(tokens: int) -> int:
    return min(max(tokens, 0), TOKENS_MAX)


def _part(tokens: int | None, parent: int) -> int | None:
    return None if tokens is None else min(max(tokens, 0), parent)


def _tokens_of(text_bytes: int) -> int:
    return max(1, text_bytes // BYTES_PER_TOKEN) if text_bytes > 0 else 0
