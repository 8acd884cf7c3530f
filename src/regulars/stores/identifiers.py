"""The users of a time range as the identifier report wants them."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from regulars.identity.classify import classify
from regulars.identity.forms import folded
from regulars.reports.identifiers import Identifiers, SeenUser, identifiers
from regulars.reports.newcomers import NewHour
from regulars.stores.base import Filter, Reports, UserRow
from regulars.stores.sightings import Newcomers, Noticed

USERS_MAX: Final = 10_000
"""Those who cost most; classifying them takes a tenth of a second."""
RARE_REQUESTS_MAX: Final = 3
SESSIONS_ASKED_MAX: Final = 500
"""Rare ids, the latest, whose sessions are looked up: ids that change stand beside each other."""
BUSY_ASKED_MAX: Final = 20
CHANGING_MIN: Final = 5
CHANGING_SHARE_MIN: Final = 0.2
"""Of the rare ids: where ids change with each request, most share a session with others."""
HOURS_ASKED_MAX: Final = 200
"""Hours with the most new ids whose traffic is looked up."""
KEY_CHARS: Final = 16
"""Of a key's hash: so many the command line finds it by."""
HOUR_US: Final = 3_600_000_000


def look_at_identifiers(reports: Reports, noticed: Noticed, where: Filter) -> Identifiers:
    """Report on the ids of a time range. Blocking."""
    crowds = noticed.crowds(where.account, from_us=where.from_us, to_us=where.to_us)
    return identifiers(
        seen_users(reports, where),
        addresses=dict(crowds),
        hours=_hours(reports, noticed, where),
    )


def seen_users(reports: Reports, where: Filter) -> list[SeenUser]:
    """Return the users of a time range, classified. Blocking."""
    rows = reports.users(where, limit=USERS_MAX)
    changing = _in_shared_sessions(reports, where, rows)
    return [_seen(row, in_shared_session=row.user in changing) for row in rows]


def _seen(row: UserRow, *, in_shared_session: bool) -> SeenUser:
    sums = row.sums
    figures = (sums.requests, sums.cost_nanousd, sums.prompt_tokens, sums.cached_tokens)
    if row.user is None:
        return SeenUser(None, "", (), "", *figures)
    traits, fold = classify(row.user), folded(row.user)
    return SeenUser(
        row.user, traits.form, tuple(traits.findings), fold, *figures, in_shared_session
    )


def _in_shared_sessions(
    reports: Reports, where: Filter, rows: Sequence[UserRow]
) -> set[str | None]:
    """Return the rare ids that came with a session which another one came with too.

    Where few of them do, those are people who talk in one room; and a session that people with
    many requests come with too tells nothing of conversations.
    """
    named = [row for row in rows if row.user is not None]
    rare = [row for row in named if row.sums.requests <= RARE_REQUESTS_MAX]
    rare = sorted(rare, key=lambda row: -row.last_seen_us)[:SESSIONS_ASKED_MAX]
    busy = [row for row in named if row.sums.requests > RARE_REQUESTS_MAX]
    busy = sorted(busy, key=lambda row: -row.sums.requests)[:BUSY_ASKED_MAX]
    told = _by_session(reports, where, rare)
    for session in _by_session(reports, where, busy):
        told.pop(session, None)
    found = {user for users in told.values() if len(users) > 1 for user in users}
    few = len(found) < max(CHANGING_MIN, CHANGING_SHARE_MIN * len(rare))
    return set() if few else found


def _by_session(
    reports: Reports, where: Filter, rows: Sequence[UserRow]
) -> dict[str, set[str | None]]:
    """Return who came with each session, by each user's latest requests."""
    users: dict[str, set[str | None]] = defaultdict(set)
    for row in rows:
        asked = Filter(where.account, user=row.user, from_us=where.from_us, to_us=where.to_us)
        for one in reports.generations(asked, limit=RARE_REQUESTS_MAX, before=None)[0]:
            if one.session is not None:
                users[one.session].add(row.user)
    return users


def _hours(reports: Reports, noticed: Noticed, where: Filter) -> list[NewHour]:
    came = noticed.newcomers(where.account, from_us=where.from_us, to_us=where.to_us)
    asked = set(sorted(came, key=lambda one: -one.users)[:HOURS_ASKED_MAX])
    return [_hour(reports, where, one, known=one in asked) for one in came]


def _hour(reports: Reports, where: Filter, one: Newcomers, *, known: bool) -> NewHour:
    key = one.key_hash[:KEY_CHARS]
    new = (one.hour, key, one.users, one.continuing, one.examples)
    if not known:
        return NewHour(*new, one.users, 0, 0, 0)
    from_us = one.hour * HOUR_US
    sums = reports.totals(
        Filter(where.account, key_hash=one.key_hash, from_us=from_us, to_us=from_us + HOUR_US)
    )
    return NewHour(*new, sums.requests, sums.cost_nanousd, sums.prompt_tokens, sums.cached_tokens)
