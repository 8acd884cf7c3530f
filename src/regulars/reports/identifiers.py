"""How healthy the ids are that requests name their users by: findings, what they touch, the fix.

What one id says about itself comes with it; here is what only many of them say together.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from regulars.reports.kinds import is_counted, is_even, is_like, is_made, kind_of
from regulars.reports.newcomers import NewHour, explosions, under_many_ids

EXAMPLES_MAX: Final = 5
OUTLIER_SHARE_MAX: Final = 0.05
"""A form that so few ids have, where another has most of them, is an outlier."""
MAIN_SHARE_MIN: Final = 0.7
ONCE_MIN: Final = 20
ONCE_SHARE_MIN: Final = 0.8
"""Of the ids of one kind: of people, some 30 to 60 % come for one request."""
SHARED_MIN: Final = 100
"""Addresses in a day: somebody with a telephone and a laptop on trains has a dozen."""

_FIXES: Final = {
    "no-user": 'send your own user\'s id: create(…, user=stable_user_id("app", str(user.id), SECRET))',
    "seen-once": "send the same id with every request of a person: user=str(user.id), not user=str(uuid4())",
    "session-of-many-ids": "take the id from the account, not from the request: user=str(request.user.id)",
    "conversation-of-many-ids": "take the id from the account, not from the request: user=str(request.user.id)",
    "explosion": "bound it: regulars keys set HASH --new-users-per-hour 1000; then send user=str(user.id)",
    "shared": "send each person's own id, not the application's: user=stable_user_id(\"app\", str(user.id), SECRET)",
    "unstable": "send the user's id instead of a request's, a session's or the time: user=str(user.id)",
    "placeholder": "set the variable the id comes from, and leave it out where there is nobody: "
    '**({"user": user_id} if user_id else {})',
    "personal": 'send user=stable_user_id("app", email, SECRET), or: regulars keys set HASH --personal-ids refuse',
    "spacing": "strip white space: user=user_id.strip()",
    "same-but-for-case": "write an id in one way everywhere: user=user_id.strip().lower()",
    "mixed-forms": 'make every id with one function in every service: stable_user_id("app", str(user.id), SECRET)',
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
    in_shared_session: bool = False
    """Whether requests of one session came under this id and under others."""


@dataclass(frozen=True, slots=True)
class Found:
    """One finding: whom and how much it touches (shares of all), masked examples, what to do.

    `details` say more of the first few: keys and times of explosions, addresses of shared ids.

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
    details: tuple[str, ...]
    fix: str


@dataclass(frozen=True, slots=True)
class Identifiers:
    """The report. `cached_share` is that of users nothing was found about, to compare with."""

    users: int
    requests: int
    forms: tuple[tuple[str, int], ...]
    cached_share: float | None
    found: tuple[Found, ...]


def identifiers(
    seen: Sequence[SeenUser],
    *,
    addresses: Mapping[str, int] = MappingProxyType({}),
    hours: Sequence[NewHour] = (),
) -> Identifiers:
    """Report on the users of a time range; what touches most requests comes first.

    `addresses` are about how many some ids were used from in a day; `hours` brought new ids.
    """
    named = [one for one in seen if one.user is not None]
    groups = by_finding(seen, addresses)
    touched = {one.user for group in groups.values() for one in group}
    healthy = _cached_share(one for one in named if one.user not in touched)
    found = [_found(finding, group, seen, healthy) for finding, group in groups.items() if group]
    found = [_with_addresses(one, groups["shared"], addresses) for one in found]
    found += _of_hours(hours, seen, healthy)
    return Identifiers(
        users=len(named),
        requests=sum(one.requests for one in seen),
        forms=tuple(Counter(one.form for one in named).most_common(20)),
        cached_share=healthy,
        found=tuple(sorted(found, key=lambda one: -one.requests_share)),
    )


def by_finding(
    seen: Sequence[SeenUser], addresses: Mapping[str, int] = MappingProxyType({})
) -> Mapping[str, Sequence[SeenUser]]:
    """Return whom each finding is about; one may be in several."""
    named = [one for one in seen if one.user is not None]
    groups: dict[str, Sequence[SeenUser]] = {}
    groups["no-user"] = [one for one in seen if one.user is None and one.requests]
    groups["session-of-many-ids"] = [one for one in named if one.in_shared_session]
    groups["seen-once"] = _seen_once([one for one in named if not one.in_shared_session])
    groups["shared"] = [one for one in named if addresses.get(one.user or "", 0) >= SHARED_MIN]
    for finding in dict.fromkeys(finding for one in named for finding in one.findings):
        groups[finding] = [one for one in named if finding in one.findings]
    groups["same-but-for-case"] = _same_but_for_case(named)
    groups["mixed-forms"] = _outliers(named)
    return groups


def _with_addresses(
    found: Found, shared: Sequence[SeenUser], addresses: Mapping[str, int]
) -> Found:
    if found.finding != "shared":
        return found
    names = sorted((one.user or "" for one in shared), key=lambda user: -addresses[user])
    details = tuple(
        f"{masked(user)}: about {addresses[user]} addresses in a day"
        for user in names[:EXAMPLES_MAX]
    )
    return replace(found, details=details)


def _of_hours(
    hours: Sequence[NewHour], seen: Sequence[SeenUser], healthy: float | None
) -> list[Found]:
    """Report on hours: what they touch is as much of the key's traffic as new ids brought."""
    found: list[Found] = []
    exploded, changing = explosions(hours), under_many_ids(hours)
    if exploded:
        group = [_part(one.at, one.at.users) for one in exploded]
        details = tuple(
            f"key {one.at.key}: {one.at.users} new ids from {_hour(one.at.hour)} on, "
            f"{one.at.users / max(one.at.requests, 1):.0%} of its requests, "
            + ("first hours" if one.usual is None else f"usually {one.usual:g}")
            for one in exploded[:EXAMPLES_MAX]
        )
        examples = tuple(text for one in exploded for text in one.at.examples)
        one = _found("explosion", group, seen, healthy)
        users = sum(one.at.users for one in exploded)
        found.append(replace(one, users=users, examples=examples[:EXAMPLES_MAX], details=details))
    if changing:
        group = [_part(one, one.continuing) for one in changing]
        details = tuple(
            f"key {one.key}: {one.continuing} of {one.users} new ids from {_hour(one.hour)} on "
            "went on with what another new id had begun"
            for one in sorted(changing, key=lambda one: -one.continuing)[:EXAMPLES_MAX]
        )
        examples = tuple(text for one in changing for text in one.examples)
        one = _found("conversation-of-many-ids", group, seen, healthy)
        users = sum(one.continuing for one in changing)
        found.append(replace(one, users=users, examples=examples[:EXAMPLES_MAX], details=details))
    return found


def _part(hour: NewHour, requests: int) -> SeenUser:
    share = min(1.0, requests / max(hour.requests, 1))
    return SeenUser(
        None,
        "",
        (),
        "",
        min(requests, hour.requests),
        round(hour.cost_nanousd * share),
        round(hour.prompt_tokens * share),
        round(hour.cached_tokens * share),
    )


def _hour(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d %H:%M} UTC"


def _kind(one: SeenUser) -> str:
    return kind_of(one.user or "", one.form)


def _seen_once(named: Sequence[SeenUser]) -> list[SeenUser]:
    """Return ids of one request, of kinds that hardly anybody comes back with.

    Some people always come once; that nearly all do says that their ids change.
    """
    once: Counter[str] = Counter()
    all_of: Counter[str] = Counter()
    for one in named:
        kind = _kind(one)
        all_of[kind] += 1
        once[kind] += one.requests == 1
    changing = {
        kind
        for kind, count in once.items()
        if count >= ONCE_MIN and count >= ONCE_SHARE_MIN * all_of[kind]
    }
    return [one for one in named if one.requests == 1 and _kind(one) in changing]


def _same_but_for_case(named: Sequence[SeenUser]) -> list[SeenUser]:
    folds: dict[str, list[SeenUser]] = defaultdict(list)
    for one in named:
        folds[one.fold].append(one)
    twins = [same for same in folds.values() if len(same) > 1]
    return [one for same in twins if any(is_even(each.user or "") for each in same) for one in same]


def _outliers(named: Sequence[SeenUser]) -> list[SeenUser]:
    """Return ids of rare kinds where most have one; among names that people choose only made ones."""
    kinds = Counter(map(_kind, named))
    if not kinds:
        return []
    main, count = kinds.most_common(1)[0]
    if count < MAIN_SHARE_MIN * len(named):
        return []
    most, chosen = OUTLIER_SHARE_MAX * len(named), not (is_made(main) or is_counted(main))
    rare = {
        kind for kind, users in kinds.items() if users <= most and (is_made(kind) or not chosen)
    }
    return [one for one in named if _kind(one) in rare and not is_like(one.user or "", main)]


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
        details=(),
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
