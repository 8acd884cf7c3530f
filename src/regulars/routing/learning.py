"""P_e[b]: how likely an endpoint still holds what it read 2^b seconds ago.

Only for endpoints whose cache life nobody documented. Source: routing.md, "State".
"""

from math import log2
from typing import Final

BELIEVED: Final = 0.5
STEP: Final = 0.1
EVIDENCE_TOKENS_MIN: Final = 1024
"""Providers do not cache shorter prompts, so nothing can be learned from those."""
_POINTS: Final = 13
"""1 s, 2 s, 4 s … 4096 s: more than a key is known."""


class CacheLives:
    """What was learned about each endpoint's cache. Starts by believing in an hour."""

    __slots__ = ("_odds",)

    def __init__(self) -> None:
        self._odds: dict[str, list[float]] = {}

    def believed(self, endpoint_id: str, idle_s: float) -> bool:
        """Say whether what was read `idle_s` ago is believed to be still warm."""
        odds = self._odds.get(endpoint_id)
        if odds is None:
            return True
        point, beyond = _between(idle_s)
        return odds[point] * (1.0 - beyond) + odds[point + 1] * beyond >= BELIEVED

    def saw(self, endpoint_id: str, idle_s: float, *, cached: int, expected: int) -> None:
        """Learn from one answer: `cached` tokens were found of `expected` after `idle_s`."""
        if expected < EVIDENCE_TOKENS_MIN:
            return
        odds = self._odds.setdefault(endpoint_id, [1.0] * _POINTS)
        point, beyond = _between(idle_s)
        found = min(cached / expected, 1.0)
        odds[point] += STEP * (1.0 - beyond) * (found - odds[point])
        odds[point + 1] += STEP * beyond * (found - odds[point + 1])


def _between(idle_s: float) -> tuple[int, float]:
    """Return the point before an idle time, and how far towards the next one it lies.

    A cache's life seldom is a power of two: read between the points, it is found far closer.
    """
    exponent = min(log2(max(idle_s, 1.0)), _POINTS - 1.001)
    return int(exponent), exponent - int(exponent)
