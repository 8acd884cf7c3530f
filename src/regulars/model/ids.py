"""Public ids: made from a time and random bits that the caller gives, sortable by time."""

import re
from typing import Final

GENERATION_RANDOM_BITS: Final = 60
_MARKER: Final = 1 << 80
_GENERATION: Final = re.compile(r"gen-[0-9]{1,12}-[0-9a-f]{20}")


def generation_id(at_us: int, random_bits: int) -> str:
    """Make `gen-<unix seconds>-<20 alphanumerics>` from microseconds since 1970 and chance.

    The first five of the twenty (hex digits all) are the microseconds within the second, so ids
    sort by the time they were made; the other fifteen are chance.

    Source: openrouter-api.md section 1.5.
    """
    seconds, micros = divmod(at_us, 1_000_000)
    # A marker bit in front keeps the leading zeros: a third of the cost of two format specs.
    return f"gen-{seconds}-{hex(_MARKER | micros << GENERATION_RANDOM_BITS | random_bits)[3:]}"


def is_generation_id(text: str) -> bool:
    """Tell whether a text has the form of our own ids."""
    return _GENERATION.fullmatch(text) is not None
