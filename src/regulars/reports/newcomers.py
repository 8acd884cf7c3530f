"""What the hours in which new ids came say: explosions, and conversations under many ids."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

NEW_MIN: Final = 100
"""Fewer new ids in an hour are no explosion."""
TIMES_USUAL: Final = 10
HOURS_MIN: Final = 3
"""Of so many other hours one can say what is usual."""
NEW_OF_REQUESTS: Final = 0.9
CONTINUING_MIN: Final = 5
CONTINUING_SHARE_MIN: Final = 0.05


class NewHour(NamedTuple):
    """New ids of one key in one hour (hours since 1970), and all the key did in it."""

    hour: int
    key: str
    users: int
    continuing: int
    examples: tuple[str, ...]
    requests: int
    cost_nanousd: int
    prompt_tokens: int
    cached_tokens: int


class Explosion(NamedTuple):
    """An hour with far more new ids than usual; None: nothing is known of other hours."""

    at: NewHour
    usual: float | None


def explosions(hours: Sequence[NewHour]) -> list[Explosion]:
    """Return hours that brought far more new ids than the key's others, or hardly anything else."""
    by_key: dict[str, list[NewHour]] = defaultdict(list)
    for one in hours:
        by_key[one.key].append(one)
    found: list[Explosion] = []
    for own in by_key.values():
        for one in own:
            if one.users < NEW_MIN:
                continue
            others = [other.users for other in own if other is not one]
            usual = median(others) if len(others) >= HOURS_MIN else None
            above = usual is not None and one.users >= TIMES_USUAL * usual
            if above or one.users >= NEW_OF_REQUESTS * max(one.requests, 1):
                found.append(Explosion(one, usual))
    return sorted(found, key=lambda one: -one.at.users)


def under_many_ids(hours: Sequence[NewHour]) -> list[NewHour]:
    """Return hours of keys whose new ids often go on with what another new id began."""
    new: dict[str, int] = defaultdict(int)
    continuing: dict[str, int] = defaultdict(int)
    for one in hours:
        new[one.key] += one.users
        continuing[one.key] += one.continuing
    return [
        one
        for one in hours
        if one.continuing
        and continuing[one.key] >= CONTINUING_MIN
        and continuing[one.key] >= CONTINUING_SHARE_MIN * new[one.key]
    ]
