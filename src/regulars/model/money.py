"""Prices in Decimal USD per token, costs in whole nano-USD; money is never a float."""

from dataclasses import dataclass
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


class Cost(Struct, frozen=True, gc=False):
    """What one generation cost, in nano-USD; `prompt + completion == total`, always.

    `cache_saving` is what the same tokens would have cost more without a cache: positive for
    discounted reads, less the premium paid for writes.
    """

    total: int
    prompt: int
    completion: int
    cache_saving: int


def usd_text(nanousd: int) -> str:
    """Write nano-USD as an exact decimal number of USD, fit for JSON: 1500 → `0.0000015`."""
    sign = "-" if nanousd < 0 else ""
    whole, nanos = divmod(abs(nanousd), NANOUSD_PER_USD)
    if not nanos:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{nanos:09d}".rstrip("0")
