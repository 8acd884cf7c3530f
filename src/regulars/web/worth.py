"""What stickiness is worth, as the routing page draws it: sticky users against the holdout."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from regulars.reports.worth import Arm, Estimate, Worth
from regulars.stores.base import Filter
from regulars.web.view import View

KEPT_S: Final = 60.0
"""How long an answer is shown again: it takes a second or more, and a live page asks often."""
KEPT_MAX: Final = 8
_MARGIN: Final = 0.08
_PER_MILLION: Final = 1000
_NANO: Final = 1_000_000_000

Compare = Callable[[Filter], tuple[Worth, bool]]


@dataclass(frozen=True, slots=True)
class Whisker:
    """An estimate on a line that has a zero on it, in percent of the line."""

    title: str
    words: str
    zero: str
    low: str
    width: str
    at: str
    good: bool
    """Whether all of the interval lies above zero."""


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One kind of users; money in nano-USD for a million prompt tokens."""

    title: str
    users: int
    requests: int
    cached_share: float | None
    nanousd_per_million: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The panel: both kinds, and the differences that could be estimated."""

    rows: tuple[ArmRow, ...]
    whiskers: tuple[Whisker, ...]
    whole: bool
    has_holdout: bool


class Comparisons:
    """Asks at most once in `KEPT_S` for each stretch of time."""

    def __init__(self, compare: Compare, clock: Callable[[], float] = time.monotonic) -> None:
        self._compare, self._clock = compare, clock
        self._lock = threading.Lock()
        self._kept: dict[View, tuple[float, Comparison]] = {}

    def of(self, view: View, where: Filter) -> Comparison:
        """Return the comparison of a view's time. Blocking."""
        times = View(period=view.period, from_=view.from_, to=view.to, tz=view.tz)
        with self._lock:
            until_s, found = self._kept.get(times, (0.0, None))
            if found is None or until_s <= self._clock():
                found = comparison(*self._compare(replace(where, user=None)))
                self._kept.pop(times, None)
                self._kept[times] = (self._clock() + KEPT_S, found)
                while len(self._kept) > KEPT_MAX:
                    del self._kept[next(iter(self._kept))]
        return found


def comparison(worth: Worth, whole: bool) -> Comparison:  # noqa: FBT001 - shown, not branched on
    """Lay out a comparison. Pure."""
    gain, saved = worth.cached_share_gain, worth.usd_saved_per_1k_prompt_tokens
    whiskers: list[Whisker] = []
    if gain is not None:
        points = replace(gain, value=gain.value * 100, low=gain.low * 100, high=gain.high * 100)
        words = f"{points.value:+.1f} points ({points.low:+.1f} to {points.high:+.1f})"
        whiskers.append(whisker("Cached share, sticky less holdout", points, words))
    if saved is not None:
        per_million = [one * _PER_MILLION for one in (saved.value, saved.low, saved.high)]
        value, low, high = (f"{'-' if one < 0 else ''}${abs(one):.4f}" for one in per_million)
        words = f"{value} ({low} to {high})"
        whiskers.append(whisker("Saved per million prompt tokens", Estimate(*per_million), words))
    rows = _row("Sticky", worth.sticky), _row("Holdout", worth.holdout)
    return Comparison(rows, tuple(whiskers), whole, worth.holdout.users > 0)


def whisker(title: str, estimate: Estimate, words: str) -> Whisker:
    """Place an estimate and its interval on a line that holds zero."""
    first, last = min(0.0, estimate.low), max(0.0, estimate.high)
    margin = (last - first or 1.0) * _MARGIN
    first, last = first - margin, last + margin

    def place(value: float) -> float:
        return (value - first) * 100 / (last - first)

    low, high = place(estimate.low), place(estimate.high)
    return Whisker(
        title=title,
        words=words.replace("-", "\N{MINUS SIGN}"),
        zero=f"{place(0.0):.2f}%",
        low=f"{low:.2f}%",
        width=f"{high - low:.2f}%",
        at=f"{place(estimate.value):.2f}%",
        good=estimate.low > 0,
    )


def _row(title: str, arm: Arm) -> ArmRow:
    usd = arm.usd_per_1k_prompt_tokens
    nanousd = None if usd is None else round(usd * _PER_MILLION * _NANO)
    return ArmRow(title, arm.users, arm.requests, arm.cached_share, nanousd)
