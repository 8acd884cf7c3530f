"""GET /key, /keys and /keys/{hash}: keys, their limits and what they spent."""

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_response
from regulars.http.auth import require_management
from regulars.http.key_json import Json, key_json, own_key_json
from regulars.model.caller import ApiKey
from regulars.model.errors import NotFoundError
from regulars.stores.spendings import Begins, KeySpent

LIST_PARAMS: Final = frozenset({"offset", "include_disabled", "include_expired", "workspace_id"})
PAGE_KEYS: Final = 100
OFFSET_MAX: Final = 10_000
_NEVER: Final = KeySpent()


def get_key(api: Api) -> Handler:
    """`GET /key`: windows are the UTC day, the ISO week and the month, as on OpenRouter."""

    async def handle(_request: Request, key: ApiKey) -> Response:
        spent = await run_in_threadpool(_spent, api, key)
        return json_response({"data": own_key_json(key, spent)})

    return handle


def list_keys(api: Api) -> Handler:
    """`GET /keys` (management key): 100 from `offset` on, the oldest first."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        params = request.query_params
        query.only(params, LIST_PARAMS)
        offset = query.offset(params, most=OFFSET_MAX)
        disabled = query.flag(params, "include_disabled")
        expired = query.flag(params, "include_expired")
        now_ms = int(api.now().timestamp() * 1000)

        def listed() -> list[Json]:
            shown = [
                each
                for each in api.keys.list_keys()
                if each.account == key.account
                and (disabled or not each.disabled)
                and (expired or not each.is_expired(now_ms))
            ]
            spent = api.spendings.keys_spent(key.account, Begins.at(api.now()))
            page = shown[offset : offset + PAGE_KEYS]
            return [key_json(each, spent.get(each.hash, _NEVER), api.policies) for each in page]

        return json_response({"data": await run_in_threadpool(listed)})

    return handle


def get_one_key(api: Api) -> Handler:
    """`GET /keys/{hash}` (management key)."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, frozenset())
        wanted = str(request.path_params["hash"])
        return json_response({"data": await run_in_threadpool(one_key_json, api, key, wanted)})

    return handle


def one_key_json(api: Api, caller: ApiKey, wanted: str) -> Json:
    """Find a key of the caller's account and write it; blocking.

    Raises:
        NotFoundError: there is none.
    """
    found = api.keys.find_key(wanted)
    if found is None or found.account != caller.account:
        raise unknown_key(wanted)
    return key_json(found, _spent(api, found), api.policies)


def unknown_key(wanted: str) -> NotFoundError:
    """Say that no key has this hash."""
    return NotFoundError(f"no API key has the hash {wanted[:80]!r}; GET /keys lists them")


def _spent(api: Api, key: ApiKey) -> KeySpent:
    found = api.spendings.keys_spent(key.account, Begins.at(api.now()), key_hash=key.hash)
    return found.get(key.hash, _NEVER)
