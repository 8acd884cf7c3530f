"""What stickiness is worth: users routed with warmth against a holdout routed without.

Each request tells by its first attempt's reason which of both it was. Users, not requests, are
drawn again for the interval: one user's requests are not independent of each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from regulars.model.generation import Generation, Outcome, UsageSource
from regulars.model.money import NANOUSD_PER_USD

HOLDOUT: Final = "holdout"
OPTED_OUT: Final = "opted-out"
RESAMPLES: Final = 1000
GROUPS_MAX: Final = 1000
"""Where there are more users than that, several are drawn together: so the time is bounded."""
USERS_MIN: Final = 5
"""Of both kinds, for an interval: fewer say nothing."""
LOW: Final = 0.025
HIGH: Final = 0.975


class Use(NamedTuple):
    """What some requests used. Money only of requests with a price, in nano-USD."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    priced_tokens: int = 0
    """Prompt tokens of requests with a price."""
    prompt_nanousd: int = 0

    def plus(self, other: "Use") -> "Use":
        """Add up two."""
        return Use(*[mine + its for mine, its in zip(self, other, strict=True)])

    @property
    def cached_share(self) -> float | None:
        """Part of the prompt tokens that was read from a cache."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else None

    @property
    def usd_per_1k(self) -> float | None:
        """What 1000 prompt tokens cost, in USD."""
        if not self.priced_tokens:
            return None
        return self.prompt_nanousd * 1000 / self.priced_tokens / NANOUSD_PER_USD


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the two kinds of users."""

    users: int
    requests: int
    prompt_tokens: int
    cached_share: float | None
    usd_per_1k_prompt_tokens: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference and its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Worth:
    """Sticky less holdout; None where one of them has too few users to say."""

    sticky: Arm
    holdout: Arm
    cached_share_gain: Estimate | None
    usd_saved_per_1k_prompt_tokens: Estimate | None


@dataclass(slots=True)
class Tally:
    """Adds rows up by user."""

    sticky: dict[str, Use] = field(default_factory=dict[str, Use])
    holdout: dict[str, Use] = field(default_factory=dict[str, Use])

    def add(self, row: Generation) -> None:
        """Count a row, if it says anything: completed, of a named user, its cache reported."""
        usage = row.usage
        if row.outcome is not Outcome.COMPLETED or usage is None or not row.attempts:
            return
        if row.usage_source is not UsageSource.REPORTED or usage.cached_tokens is None:
            return
        reason = row.attempts[0].reason
        if row.end_user is None or reason == OPTED_OUT:
            return
        priced = row.cost is not None
        use = Use(
            requests=1,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            priced_tokens=usage.prompt_tokens if priced else 0,
            prompt_nanousd=row.cost.prompt if row.cost is not None else 0,
        )
        users = self.holdout if reason == HOLDOUT else self.sticky
        users[row.end_user] = users.get(row.end_user, Use()).plus(use)


Page = Callable[[str | None], tuple[Sequence[Generation], str | None]]
"""Returns the rows before an id, newest first, and the id to go on with, None at the end."""


def tally(page: Page, *, pages_max: int) -> tuple[Tally, bool]:
    """Add rows up page by page; says whether all were read."""
    added, before = Tally(), None
    for _ in range(pages_max):
        rows, before = page(before)
        for row in rows:
            added.add(row)
        if before is None:
            return added, True
    return added, False


Draw = Callable[[Sequence[Use], int], Sequence[Use]]
"""Draws so many with replacement, like `Random.choices(…, k=…)`."""


def worth(tally: Tally, draw: Draw) -> Worth:
    """Compare both kinds of users."""
    sticky, holdout = list(tally.sticky.values()), list(tally.holdout.values())
    resampled: list[tuple[Use, Use]] = []
    if min(len(sticky), len(holdout)) >= USERS_MIN:
        groups = _grouped(sticky), _grouped(holdout)
        resampled = [
            (_sum(draw(groups[0], len(groups[0]))), _sum(draw(groups[1], len(groups[1]))))
            for _ in range(RESAMPLES)
        ]
    both = _sum(sticky), _sum(holdout)
    return Worth(
        sticky=_arm(sticky, both[0]),
        holdout=_arm(holdout, both[1]),
        cached_share_gain=_estimate(_share_gain, both, resampled),
        usd_saved_per_1k_prompt_tokens=_estimate(_usd_saved, both, resampled),
    )


def _arm(users: Sequence[Use], used: Use) -> Arm:
    return Arm(len(users), used.requests, used.prompt_tokens, used.cached_share, used.usd_per_1k)


def _estimate(
    difference: Callable[[Use, Use], float | None],
    both: tuple[Use, Use],
    resampled: Sequence[tuple[Use, Use]],
) -> Estimate | None:
    value = difference(*both)
    drawn = sorted(d for pair in resampled if (d := difference(*pair)) is not None)
    if value is None or not drawn:
        return None
    last = len(drawn) - 1
    return Estimate(value, drawn[round(LOW * last)], drawn[round(HIGH * last)])


def _share_gain(sticky: Use, holdout: Use) -> float | None:
    mine, its = sticky.cached_share, holdout.cached_share
    return None if mine is None or its is None else mine - its


def _usd_saved(sticky: Use, holdout: Use) -> float | None:
    mine, its = sticky.usd_per_1k, holdout.usd_per_1k
    return None if mine is None or its is None else its - mine


def _grouped(users: Sequence[Use]) -> list[Use]:
    if len(users) <= GROUPS_MAX:
        return list(users)
    return [_sum(users[start::GROUPS_MAX]) for start in range(GROUPS_MAX)]


def _sum(uses: Sequence[Use]) -> Use:
    return Use(*[sum(column) for column in zip(*uses, strict=True)]) if uses else Use()
