"""How healthy the ids are that requests name their users by: findings, what they touch, the fix.

What one id says about itself comes with it; here is what only many of them say together.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

EXAMPLES_MAX: Final = 5
OUTLIER_SHARE_MAX: Final = 0.05
"""A form that so few ids have, where another has most of them, is an outlier."""
MAIN_SHARE_MIN: Final = 0.7

_FIXES: Final = {
    "no-user": 'send your own user\'s id: create(…, user=stable_user_id("app", str(user.id), SECRET))',
    "seen-once": "send the same id with every request of a person, not one made for each request",
    "unstable": "send the user's id instead of a request's, a session's or the time",
    "placeholder": "set the variable the id comes from, and leave `user` out where there is nobody",
    "personal": "send stable_user_id(…) of regulars.ids, or make keys with --personal-ids refuse",
    "spacing": "strip white space: user=user_id.strip()",
    "same-but-for-case": "write an id in one way everywhere: user=user_id.strip().lower()",
    "mixed-forms": "make every id with the same function, in every service",
}


def fix_of(finding: str) -> str:
    """Return what to do about a finding."""
    return _FIXES[finding]


class SeenUser(NamedTuple):
    """One user of a time range. `user` None: requests that named nobody."""

    user: str | None
    form: str
    findings: tuple[str, ...]
    fold: str
    requests: int
    cost_nanousd: int
    prompt_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Found:
    """One finding: whom and how much it touches (shares of all), masked examples, what to do.

    `cold_tokens`: how many more tokens caches would have read, had these users been as warm as
    those nothing was found about.
    """

    finding: str
    users: int
    requests_share: float
    cost_share: float
    cached_share: float | None
    cold_tokens: int
    examples: tuple[str, ...]
    fix: str


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The report. `cached_share` is that of users nothing was found about, to compare with."""

    users: int
    requests: int
    forms: tuple[tuple[str, int], ...]
    cached_share: float | None
    found: tuple[Found, ...]


def identifiers(seen: Sequence[SeenUser]) -> Identifiers:
    """Report on the users of a time range; what touches most requests comes first."""
    named = [one for one in seen if one.user is not None]
    groups: dict[str, list[SeenUser]] = defaultdict(list)
    groups["no-user"] = [one for one in seen if one.user is None and one.requests]
    groups["seen-once"] = [one for one in named if one.requests == 1]
    for one in named:
        for finding in one.findings:
            groups[finding].append(one)
    groups["same-but-for-case"] = _same_but_for_case(named)
    groups["mixed-forms"] = _outliers(named)
    touched = {one.user for group in groups.values() for one in group}
    healthy = _cached_share(one for one in named if one.user not in touched)
    found = [_found(finding, group, seen, healthy) for finding, group in groups.items() if group]
    return Identifiers(
        users=len(named),
        requests=sum(one.requests for one in seen),
        forms=tuple(Counter(one.form for one in named).most_common(20)),
        cached_share=healthy,
        found=tuple(sorted(found, key=lambda one: -one.requests_share)),
    )


def _same_but_for_case(named: Sequence[SeenUser]) -> list[SeenUser]:
    folds = Counter(one.fold for one in named)
    return [one for one in named if folds[one.fold] > 1]


def _outliers(named: Sequence[SeenUser]) -> list[SeenUser]:
    forms = Counter(one.form for one in named)
    if not forms or forms.most_common(1)[0][1] < MAIN_SHARE_MIN * len(named):
        return []
    most = OUTLIER_SHARE_MAX * len(named)
    return [one for one in named if forms[one.form] <= most]


def _found(
    finding: str, group: Sequence[SeenUser], seen: Sequence[SeenUser], healthy: float | None
) -> Found:
    requests, cost = sum(one.requests for one in seen), sum(one.cost_nanousd for one in seen)
    ranked = sorted(group, key=lambda one: -one.requests)[:EXAMPLES_MAX]
    return Found(
        finding=finding,
        users=sum(one.user is not None for one in group),
        requests_share=sum(one.requests for one in group) / max(requests, 1),
        cost_share=sum(one.cost_nanousd for one in group) / max(cost, 1),
        cached_share=_cached_share(group),
        cold_tokens=_cold_tokens(group, healthy or 0.0),
        examples=tuple(masked(one.user) for one in ranked if one.user is not None),
        fix=_FIXES[finding],
    )


def _cold_tokens(group: Sequence[SeenUser], healthy: float) -> int:
    warm = healthy * sum(one.prompt_tokens for one in group)
    return max(0, round(warm - sum(one.cached_tokens for one in group)))


def masked(user: str) -> str:
    """Show so much of an id that its owner recognises it."""
    kept = min(3, len(user) // 3)
    return f"{user[:kept]}…{user[-1:] if len(user) > 4 else ''}"


def _cached_share(users: Iterable[SeenUser]) -> float | None:
    prompt = cached = 0
    for one in users:
        prompt += one.prompt_tokens
        cached += one.cached_tokens
    return cached / prompt if prompt else None
