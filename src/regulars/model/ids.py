"""Public ids: made from a time and random bits that the caller gives, sortable by time."""

from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_PAIR_COUNT: Final = len(_PAIRS)

GENERATION_RANDOM_BITS: Final = 95
"""How many random bits `generation_id` uses: 62^16 is a little more than 2^95."""


def generation_id(at_us: int, random_bits: int) -> str:
    """Make `gen-<unix seconds>-<20 alphanumerics>` from microseconds since 1970 and chance.

    The first four of the twenty carry the microseconds within the second, so ids of one
    process sort by the time they were made; the other sixteen are chance.

    Source: openrouter-api.md section 1.5.
    """
    seconds, micros = divmod(at_us, 1_000_000)
    high, low = divmod(micros, _PAIR_COUNT)
    tail = ""
    for _ in range(8):
        random_bits, pair = divmod(random_bits, _PAIR_COUNT)
        tail += _PAIRS[pair]
    return f"gen-{seconds}-{_PAIRS[high]}{_PAIRS[low]}{tail}"
