"""How a generation's cost comes about: tokens times price, line by line. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from regulars.billing.price import read_price_text
from regulars.model.generation import CostSource, Generation
from regulars.model.money import NANO, Price
from regulars.model.tokens import Usage


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of the bill; `per_token` None where it is no matter of tokens."""

    title: str
    colour: str
    tokens: int
    per_token: Decimal | None
    nanousd: int


def price_lines(generation: Generation) -> tuple[PriceLine, ...]:
    """Return lines that add up to the cost; none where our price did not make it.

    Amounts are rounded to nano-USD one by one, the total once: a last line says the difference.
    """
    usage, cost = generation.usage, generation.cost
    ours = generation.cost_source in (CostSource.COMPUTED, CostSource.ESTIMATED)
    if usage is None or cost is None or generation.price is None or not ours:
        return ()
    price = read_price_text(generation.price)
    lines = [line for line in _lines(usage, price) if line.nanousd or line.tokens]
    lines += [
        PriceLine(
            f"Billed before by {attempt.provider}", "other", 0, None, attempt.billed.cost.total
        )
        for attempt in generation.attempts
        if attempt.billed is not None and attempt.billed.cost is not None
    ]
    rest = cost.total - sum(line.nanousd for line in lines)
    if abs(rest) > len(lines):
        return ()
    if rest:
        lines.append(PriceLine("Rounding", "other", 0, None, rest))
    return tuple(lines)


def _lines(usage: Usage, price: Price) -> Iterator[PriceLine]:
    cached = usage.cached_tokens or 0
    written = usage.cache_write_tokens or 0
    hour = usage.cache_write_1h_tokens or 0
    fresh = usage.prompt_tokens - cached - written
    audio = min(usage.audio_tokens or 0, fresh)
    spoken = usage.audio_output_tokens or 0
    write = _or(price.cache_write, price.prompt)
    yield _line("Read from cache", "warm", cached, _or(price.cache_read, price.prompt))
    yield _line("Written to cache", "written", written - hour, write)
    yield _line("Written for an hour", "written", hour, _or(price.cache_write_1h, write))
    yield _line("Fresh prompt", "fresh", fresh - audio, price.prompt)
    yield _line("Audio in", "fresh", audio, _or(price.audio, price.prompt))
    yield _line("Completion", "answer", usage.completion_tokens - spoken, price.completion)
    yield _line("Audio out", "answer", spoken, _or(price.audio_output, price.completion))
    yield PriceLine("The request itself", "other", 0, None, _nano(price.request))


def _line(title: str, colour: str, tokens: int, per_token: Decimal) -> PriceLine:
    return PriceLine(title, colour, tokens, per_token, _nano(tokens * per_token))


def _nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value(ROUND_HALF_EVEN))


def _or(price: Decimal | None, parent: Decimal) -> Decimal:
    return parent if price is None else price
