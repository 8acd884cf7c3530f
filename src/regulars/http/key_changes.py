"""POST /keys, PATCH and DELETE /keys/{hash}: each is noted in the record of changes."""

import secrets
from dataclasses import replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_response
from regulars.http.auth import require_management
from regulars.http.body import read_body
from regulars.http.key_json import Json, key_json
from regulars.http.keys import one_key_json, unknown_key
from regulars.model.caller import CALLERS_WORD, ApiKey
from regulars.model.errors import CallerError, ConflictError
from regulars.stores.spendings import KeySpent
from regulars.wire.key_fields import KeyFields, changed, new_terms, read_fields

BODY_BYTES_MAX: Final = 16_384
SECRET_NAME_BYTES: Final = 8


def post_key(api: Api) -> Handler:
    """`POST /keys` (management key): a new key; its secrets are told here and never again."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        asked = await _asked(api, request)
        name, role, terms = new_terms(asked, now_ms=_now_ms(api))
        made, secret = api.new_key(name, role, terms)
        made = replace(made, users=api.policies.asked(asked, made.account, secret_name=_chance()))
        await run_in_threadpool(api.keys.create_key, made, by=key.hash)
        shown = key_json(made, KeySpent(), api.policies)
        return json_response({"data": shown, "key": secret, **_signing(api, made)}, 201)

    return handle


def patch_key(api: Api) -> Handler:
    """`PATCH /keys/{hash}` (management key): what is not said stays; in force within 5 s."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        wanted = str(request.path_params["hash"])
        asked = await _asked(api, request)
        if wanted == key.hash and asked.disabled is True:
            raise _own_key("disabled")

        return json_response(await run_in_threadpool(_change, api, key, wanted, asked))

    return handle


def delete_key(api: Api) -> Handler:
    """`DELETE /keys/{hash}` (management key): its generations stay in the ledger."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, frozenset())
        wanted = str(request.path_params["hash"])
        if wanted == key.hash:
            raise _own_key("deleted")

        def delete() -> None:
            found = api.keys.find_key(wanted)
            if found is None or found.account != key.account:
                raise unknown_key(wanted)
            api.keys.delete_key(wanted, by=key.hash)

        await run_in_threadpool(delete)
        return json_response({"deleted": True})

    return handle


def _change(api: Api, caller: ApiKey, wanted: str, asked: KeyFields) -> Json:
    one_key_json(api, caller, wanted)  # of another account it is not there
    before: list[ApiKey] = []

    def change(old: ApiKey) -> ApiKey:
        before.append(old)
        users = api.policies.asked(asked, old.account, old.users, secret_name=_chance())
        return replace(changed(old, asked, now_ms=_now_ms(api)), users=users)

    new = api.keys.change_key(wanted, change, by=caller.hash)
    if new is None:
        raise unknown_key(wanted)
    return {"data": one_key_json(api, caller, wanted), **_signing(api, new, before[0])}


def _signing(api: Api, key: ApiKey, old: ApiKey | None = None) -> Json:
    secret = api.policies.new_secret(key, CALLERS_WORD if old is None else old.users)
    return {} if secret is None else {"signing_secret": secret}


def _chance() -> str:
    return secrets.token_hex(SECRET_NAME_BYTES)


async def _asked(api: Api, request: Request) -> KeyFields:
    query.only(request.query_params, frozenset())
    headers = dict(request.scope["headers"])
    asked = read_fields(await read_body(request.receive, headers, BODY_BYTES_MAX))
    if isinstance(asked.content_share, float) and asked.content_share > 0 and not api.keeps_content:
        raise CallerError(
            "content_share: nothing that is said is kept here, [content] enabled is false"
        )
    return asked


def _own_key(done: str) -> ConflictError:
    return ConflictError(
        f"the calling key cannot be {done} by itself: use another management key, so that one is left"
    )


def _now_ms(api: Api) -> int:
    return int(api.now().timestamp() * 1000)
