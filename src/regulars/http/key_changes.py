"""POST /keys, PATCH and DELETE /keys/{hash}: each is noted in the record of changes."""

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
from regulars.model.caller import ApiKey
from regulars.model.errors import CallerError, ConflictError
from regulars.stores.spendings import KeySpent
from regulars.wire.key_fields import KeyFields, changed, new_terms, read_fields

BODY_BYTES_MAX: Final = 16_384


def post_key(api: Api) -> Handler:
    """`POST /keys` (management key): a new key; its secret is told here and never again."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        asked = await _asked(api, request)
        name, role, terms = new_terms(asked, now_ms=_now_ms(api))
        made, secret = api.new_key(name, role, terms)
        await run_in_threadpool(api.keys.create_key, made, by=key.hash)
        return json_response({"data": key_json(made, KeySpent()), "key": secret}, 201)

    return handle


def patch_key(api: Api) -> Handler:
    """`PATCH /keys/{hash}` (management key): what is not said stays; in force within 5 s."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        wanted = str(request.path_params["hash"])
        asked = await _asked(api, request)
        if wanted == key.hash and asked.disabled is True:
            raise _own_key("disabled")

        def change() -> Json:
            one_key_json(api, key, wanted)  # of another account it is not there
            new = api.keys.change_key(
                wanted, lambda old: changed(old, asked, now_ms=_now_ms(api)), by=key.hash
            )
            if new is None:
                raise unknown_key(wanted)
            return one_key_json(api, key, wanted)

        return json_response({"data": await run_in_threadpool(change)})

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
