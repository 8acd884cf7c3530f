"""/external-users: OpenRouter's registry: who was ever named or registered, and who is active.

It gates nothing: whoever is named in a request is served. `display_name` is ours.
"""

from dataclasses import replace
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_response
from regulars.http.auth import require_management
from regulars.http.body import read_small_body
from regulars.identity.name import USER_LENGTH_MAX, accept_name
from regulars.model.caller import ApiKey
from regulars.model.errors import CallerError, ConflictError, NotFoundError
from regulars.reports.schema import LIMIT_MAX, Condition, Order, ReportQuery
from regulars.stores.registry import Registered
from regulars.wire.views import iso_time

PARAMS: Final = frozenset({"offset", "limit", "user", "include_inactive"})
REGISTERED_MAX: Final = 10_000
DISPLAY_CHARS_MAX: Final = 100
OFFSET_MAX: Final = LIMIT_MAX - query.LIMIT_MAX


def list_external_users(api: Api) -> Handler:
    """`GET /external-users` (management key): by name; `/users` pages deeper and sorts.

    Of people who were never registered, times are those of the first and the last request.
    """

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        params = request.query_params
        query.only(params, PARAMS)
        user = query.user(params)
        named = Condition("user", "neq", (None,))
        asked = ReportQuery(
            account=key.account,
            metrics=("last_seen",),
            dimensions=("user",),
            where=(named if user is None else Condition("user", "eq", (user,)),),
            order=(Order("user", descending=False),),
        )
        offset, limit = query.offset(params, most=OFFSET_MAX), query.limit(params)
        inactive = query.flag(params, "include_inactive")
        listed = _Listed(api, asked, user, with_inactive=inactive)
        return json_response(await run_in_threadpool(listed.page, offset, limit))

    return handle


class _Listed:
    """Who is registered and who is in the ledger, merged by name."""

    def __init__(
        self, api: Api, asked: ReportQuery, user: str | None, *, with_inactive: bool
    ) -> None:
        registered = api.registry.registered(asked.account, limit=REGISTERED_MAX)
        self._api, self._asked, self._with_inactive = api, asked, with_inactive
        self._said = {one.name: one for one in registered if user in (None, one.name)}

    def page(self, offset: int, limit: int) -> dict[str, Any]:
        asked, said = self._asked, self._said
        hidden = [] if self._with_inactive else [n for n, one in said.items() if not one.is_active]
        # As many rows more as are hidden: so the page is full whoever is hidden.
        most = min(offset + limit + len(hidden), LIMIT_MAX)
        rows = self._api.reports.run(replace(asked, limit=most)).rows
        last = {str(user): int(seen) for user, seen in rows if seen is not None}
        names = sorted((last.keys() | said.keys()) - set(hidden))[offset : offset + limit]
        first = self._api.reports.first_seen(asked.account, names)
        data = [_view(name, said.get(name), first.get(name), last.get(name)) for name in names]
        return {"data": data, "total_count": self._count(len(hidden))}

    def _count(self, hidden: int) -> int:
        counted = replace(self._asked, metrics=("users",), dimensions=(), order=())
        seen = int(self._api.reports.run(counted).rows[0][0] or 0)
        known = self._api.reports.first_seen(self._asked.account, list(self._said))
        return seen + len(self._said) - len(known) - hidden


def _view(
    user: str, said: Registered | None, first_us: int | None, last_us: int | None
) -> dict[str, Any]:
    begun = [at for at in (first_us, said and said.created_us) if at is not None]
    ended = [at for at in (last_us, said and said.updated_us, *begun) if at is not None]
    return {
        "user": user,
        "display_name": None if said is None else said.display_name,
        "is_active": said is None or said.is_active,
        "created_at": iso_time(min(begun, default=last_us or 0)),
        "updated_at": iso_time(max(ended)),
    }


class NewExternalUser(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST."""

    user: str
    display_name: str | None = None


class ExternalUserChange(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PATCH: what is not said stays."""

    is_active: bool | UnsetType = UNSET
    display_name: str | UnsetType | None = UNSET


_NEW: Final = msgspec.json.Decoder(NewExternalUser)
_CHANGE: Final = msgspec.json.Decoder(ExternalUserChange)


def create_external_user(api: Api) -> Handler:
    """`POST /external-users` (management key): 201, or 409 where the id is known."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        asked = _decoded(_NEW, await read_small_body(request))
        user = _accepted(asked.user)
        if await run_in_threadpool(_found, api, key.account, user) is not None:
            raise ConflictError(f"user: {user[:100]!r} is known already; PATCH changes it")
        said = await _said(
            api, key.account, user, is_active=True, display_name=_display(asked.display_name)
        )
        return json_response({"data": said}, 201)

    return handle


def get_external_user(api: Api) -> Handler:
    """`GET /external-users/{user}` (management key): active or not."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, frozenset())
        return json_response({"data": await _known(api, key.account, request)})

    return handle


def change_external_user(api: Api) -> Handler:
    """`PATCH /external-users/{user}` (management key): `is_active`, `display_name`."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        change = _decoded(_CHANGE, await read_small_body(request))
        if change.is_active is UNSET and change.display_name is UNSET:
            raise CallerError("body: says neither is_active nor display_name")
        now = await _known(api, key.account, request)
        active = now["is_active"] if change.is_active is UNSET else change.is_active
        display = now["display_name"]
        if change.display_name is not UNSET:
            display = _display(change.display_name)
        said = await _said(api, key.account, now["user"], is_active=active, display_name=display)
        return json_response({"data": said})

    return handle


def delete_external_user(api: Api) -> Handler:
    """`DELETE /external-users/{user}` (management key): turned off, kept; PATCH revives."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        found = await _known(api, key.account, request)
        if found["is_active"]:
            await _said(
                api, key.account, found["user"], is_active=False, display_name=found["display_name"]
            )
        return Response(status_code=204)

    return handle


_T = TypeVar("_T")


def _decoded(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CallerError(f"body: {exc}") from exc


def _accepted(user: str) -> str:
    if user != user.strip():
        raise CallerError("user: begins or ends with white space; send it without")
    return accept_name(user, field="user", length_max=USER_LENGTH_MAX)


async def _known(api: Api, account: str, request: Request) -> dict[str, Any]:
    user = accept_name(request.path_params["user"], field="user", length_max=USER_LENGTH_MAX)
    found = await run_in_threadpool(_found, api, account, user)
    if found is None:
        raise NotFoundError(f"user {user[:100]!r} is not known; ids are case-sensitive")
    return found


def _found(api: Api, account: str, user: str) -> dict[str, Any] | None:
    said = api.registry.find_registered(account, user)
    where = (Condition("user", "eq", (user,)),)
    asked = ReportQuery(account=account, metrics=("requests", "last_seen"), where=where)
    requests, last = api.reports.run(asked).rows[0]
    if said is None and not requests:
        return None
    first = api.reports.first_seen(account, [user]).get(user)
    return _view(user, said, first, int(last) if requests and last is not None else None)


def _display(name: str | None) -> str | None:
    if name is None:
        return None
    return accept_name(name, field="display_name", length_max=DISPLAY_CHARS_MAX)


async def _said(
    api: Api, account: str, user: str, *, is_active: bool, display_name: str | None
) -> dict[str, Any]:
    now_us = query.microseconds(api.now())
    said = Registered(user, is_active, now_us, now_us, display_name)
    await run_in_threadpool(api.registry.register, account, said)
    found = await run_in_threadpool(_found, api, account, user)
    assert found is not None, "what was registered just now is known"
    return found
