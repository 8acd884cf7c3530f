"""The keys' pages: all with what they spent, one with its rules; and the forms that change them."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from regulars.model.caller import CALLERS_WORD, ApiKey, KeyTerms, LimitReset, Role, UserPolicy
from regulars.model.errors import CallerError
from regulars.stores.base import COMMAND_LINE, KeyChange
from regulars.stores.spendings import Begins, KeySpent
from regulars.web.access import Viewer
from regulars.web.forms import STALE, is_of_session, read_form
from regulars.web.key_forms import new_key_fields, rule_fields
from regulars.web.names import key_name
from regulars.web.periods import moment
from regulars.web.site import Site
from regulars.wire.key_fields import KeyFields, changed, new_terms

PATH: Final = "/keys"
KEYS_MAX: Final = 500
"""Keys a page shows, the newest; the API pages further."""
SECRET_NAME_BYTES: Final = 8
CHANGES_SHOWN: Final = 30
_OWN: Final = "You are signed in with this key. Sign in with another management key to change whether it works."

Names = dict[str, str]
"""Of keys, by hash."""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key with what it spent; `state` is the word and class of how it stands."""

    key: ApiKey
    spent: KeySpent
    remaining: int | None
    state: Literal["works", "disabled", "expired"]


@dataclass(frozen=True, slots=True)
class Shown:
    """What was just made, to be shown once; `signing` makes proofs of a signed key's users."""

    key: ApiKey
    secret: str | None
    signing: str | None


async def keys_page(site: Site, _request: Request, viewer: Viewer) -> Response:
    """Show the keys, a form for a new one, and who changed what."""
    return await _keys(site, viewer)


async def make_key(site: Site, request: Request, viewer: Viewer) -> Response:
    """Make a key and show its secret: this page is the only place where it ever stands."""
    fields = await read_form(request)
    if not is_of_session(fields, viewer):
        return site.problem(403, STALE, viewer=viewer)
    try:
        asked = new_key_fields(fields, keeps_content=site.deps.keeps_content)
        terms = new_terms(asked, now_ms=site.now_us // 1000)
        made = await run_in_threadpool(_make, site, viewer, terms, asked)
    except CallerError as error:
        return await _keys(site, viewer, problem=error.message)
    return await _keys(site, viewer, made=made)


async def key_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show one key and the forms that change it."""
    return await _key(site, viewer, request.path_params["key"])


async def change_key(site: Site, request: Request, viewer: Viewer) -> Response:
    """Change a key's name and rules."""
    wanted: str = request.path_params["key"]
    fields = await read_form(request)
    if not is_of_session(fields, viewer):
        return site.problem(403, STALE, viewer=viewer)
    try:
        asked = rule_fields(fields, keeps_content=site.deps.keeps_content)
        return await _change(site, viewer, wanted, asked)
    except CallerError as error:
        return await _key(site, viewer, wanted, problem=error.message)


async def switch_key(site: Site, request: Request, viewer: Viewer) -> Response:
    """Revoke a key, or let it work again."""
    wanted: str = request.path_params["key"]
    fields = await read_form(request)
    if not is_of_session(fields, viewer):
        return site.problem(403, STALE, viewer=viewer)
    if wanted == viewer.key.hash:
        return await _key(site, viewer, wanted, problem=_OWN)
    asked = KeyFields(disabled=fields.get("state") != "works")
    return await _change(site, viewer, wanted, asked)


async def _keys(
    site: Site, viewer: Viewer, *, made: Shown | None = None, problem: str = ""
) -> Response:
    rows, changes, names = await run_in_threadpool(_read_keys, site)
    return site.page(
        "keys.html",
        viewer=viewer,
        status=400 if problem else 200,
        rows=rows,
        changes=_told(changes, names),
        resets=list(LimitReset),
        default_policy=CALLERS_WORD,
        keeps_content=site.deps.keeps_content,
        made=made,
        problem=problem,
    )


async def _key(
    site: Site, viewer: Viewer, wanted: str, *, made: Shown | None = None, problem: str = ""
) -> Response:
    found = await run_in_threadpool(_read_key, site, wanted)
    if found is None:
        return site.missing(viewer)
    row, changes, names = found
    return site.page(
        "key.html",
        viewer=viewer,
        status=400 if problem else 200,
        row=row,
        changes=_told(changes, names),
        resets=list(LimitReset),
        keeps_content=site.deps.keeps_content,
        default_policy=CALLERS_WORD,
        user=site.deps.policies.user(row.key),
        is_own=wanted == viewer.key.hash,
        made=made,
        problem=problem,
    )


def _make(site: Site, viewer: Viewer, terms: tuple[str, Role, KeyTerms], asked: KeyFields) -> Shown:
    policies = site.deps.policies
    key, secret = site.deps.new_key(*terms)
    key = replace(key, users=policies.asked(asked, key.account, secret_name=_chance()))
    site.deps.keys.create_key(key, by=viewer.key.hash)
    return Shown(key, secret, policies.new_secret(key))


async def _change(site: Site, viewer: Viewer, wanted: str, asked: KeyFields) -> Response:
    deps, now_ms = site.deps, site.now_us // 1000
    before: list[UserPolicy] = []

    def change(old: ApiKey) -> ApiKey:
        before.append(old.users)
        users = deps.policies.asked(asked, old.account, old.users, secret_name=_chance())
        return replace(changed(old, asked, now_ms=now_ms), users=users)

    def changed_key() -> ApiKey | None:
        found = deps.keys.find_key(wanted)
        if found is None or found.account != deps.account:
            return None
        return deps.keys.change_key(wanted, change, by=viewer.key.hash)

    new = await run_in_threadpool(changed_key)
    if new is None:
        return site.missing(viewer)
    signing = await run_in_threadpool(deps.policies.new_secret, new, before[0])
    if signing is not None:
        return await _key(site, viewer, wanted, made=Shown(new, None, signing))
    return RedirectResponse(f"{PATH}/{wanted}", status_code=303)


def _chance() -> str:
    return secrets.token_hex(SECRET_NAME_BYTES)


def _read_keys(site: Site) -> tuple[list[KeyRow], list[KeyChange], Names]:
    deps, now = site.deps, moment(site.now_us)
    spent = deps.spendings.keys_spent(deps.account, Begins.at(now))
    keys = [key for key in deps.keys.list_keys() if key.account == deps.account]
    rows = [_row(key, spent.get(key.hash, KeySpent()), now) for key in keys[::-1][:KEYS_MAX]]
    return rows, deps.keys.key_changes(CHANGES_SHOWN), {key.hash: key.name for key in keys}


def _read_key(site: Site, wanted: str) -> tuple[KeyRow, list[KeyChange], Names] | None:
    deps, now = site.deps, moment(site.now_us)
    key = deps.keys.find_key(wanted)
    if key is None or key.account != deps.account:
        return None
    spent = deps.spendings.keys_spent(deps.account, Begins.at(now), key_hash=wanted)
    changes = deps.keys.key_changes(CHANGES_SHOWN, key_hash=wanted)
    names = {key.hash: key.name for key in deps.keys.list_keys()}
    return _row(key, spent.get(wanted, KeySpent()), now), changes, names


def _row(key: ApiKey, spent: KeySpent, now: datetime) -> KeyRow:
    state: Literal["works", "disabled", "expired"] = "disabled" if key.disabled else "works"
    if not key.disabled and key.is_expired(int(now.timestamp() * 1000)):
        state = "expired"
    return KeyRow(key, spent, spent.remaining(key.terms), state)


def _told(changes: list[KeyChange], names: Names) -> list[dict[str, Any]]:
    return [
        {
            "change": change,
            "actor": COMMAND_LINE
            if change.actor == COMMAND_LINE
            else key_name(change.actor, names),
            "what": [(name, before, after) for name, (before, after) in change.details.items()],
        }
        for change in changes
    ]
