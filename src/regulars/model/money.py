"""Prices in Decimal USD per token, costs in whole nano-USD; money is never a float."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from msgspec import Struct

NANO: Final = Decimal(1_000_000_000)
NANOUSD_PER_USD: Final = 1_000_000_000
TOKENS_PER_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """What one endpoint asks, in USD per token (`request`: per request).

    A part that is None costs what its parent costs: `cache_read`, `cache_write` and `audio`
    fall back to `prompt`, `cache_write_1h` to `cache_write`, `audio_output` to `completion`.
    """

    prompt: Decimal
    completion: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    cache_write_1h: Decimal | None = None
    audio: Decimal | None = None
    audio_output: Decimal | None = None
    request: Decimal = Decimal(0)
    tiers: "tuple[tuple[int, Price], ...]" = ()
    """Where long prompts cost more: (prompts longer than so many tokens, the whole price then),
    ascending; the first begins below 0 and is the base. Empty: one price for every length."""
    dated: "tuple[tuple[int, Price], ...]" = ()
    """Where the price changes: (from this microsecond since 1970, the whole price then),
    ascending; the first is today's. Empty: one price for ever."""
    services: "tuple[tuple[str, Price], ...]" = field(default=(), hash=False)
    """What other service tiers cost: (the tier's name, like `flex`, the whole price there)."""

    def of(self, prompt_tokens: int, at_us: int | None) -> "Price":
        """Return the plain price of one request: without tiers and dates, of its own service."""
        price = self
        if price.dated:
            place = 1 if at_us is None else bisect_right(price.dated, at_us, key=_begin)
            price = price.dated[max(place, 1) - 1][1]
        if price.tiers:
            price = price.tiers[bisect_left(price.tiers, prompt_tokens, key=_begin) - 1][1]
        return price


def _begin(part: tuple[int, Price]) -> int:
    return part[0]


class Cost(Struct, frozen=True, gc=False):
    """What one generation cost, in nano-USD; `prompt + completion == total`, always.

    `cache_saving` is what the same tokens would have cost more without a cache: positive for
    discounted reads, less the premium paid for writes. `byok` is the part of the total that a
    reseller did not charge, since a provider bills it to our own key there; None without such.
    """

    total: int
    prompt: int
    completion: int
    cache_saving: int
    byok: int | None = None


class ReportedCost(Struct, frozen=True, gc=False):
    """What an upstream says it charged, in nano-USD; None: it did not say that part.

    `total` is all of it, `byok` (see `Cost`) included.
    """

    total: int
    completion: int | None = None
    byok: int | None = None


def plain_text(value: Decimal) -> str:
    """Write a decimal without exponent and without zeros at its end: 0.60 → `0.6`."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def usd_text(nanousd: int) -> str:
    """Write nano-USD as an exact decimal number of USD, fit for JSON: 1500 → `0.0000015`."""
    if 0 < nanousd < NANOUSD_PER_USD:
        # Added before and cut off again: a format width costs three times as much.
        return f"0.{str(NANOUSD_PER_USD + nanousd)[1:]}".rstrip("0")
    sign = "-" if nanousd < 0 else ""
    whole, nanos = divmod(abs(nanousd), NANOUSD_PER_USD)
    if not nanos:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{str(NANOUSD_PER_USD + nanos)[1:]}".rstrip("0")
