"""GET /generation and /generations: single requests, looked up and listed."""

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_response
from regulars.model.caller import ApiKey, Role
from regulars.model.errors import CallerError, ForbiddenError, NotFoundError
from regulars.model.generation import Generation
from regulars.model.ids import is_generation_id
from regulars.stores.base import Filter, Reports
from regulars.wire.views import generation_view

ID_PARAMS: Final = frozenset({"id"})
LIST_PARAMS: Final = frozenset(
    {"user", "model", "provider", "api_key_hash", "from", "to", "limit", "cursor"}
)


def get_generation(api: Api) -> Handler:
    """`GET /generation?id=`: any key of the account; inference keys see only their own."""

    async def handle(request: Request, key: ApiKey) -> Response:
        query.only(request.query_params, ID_PARAMS)
        row = await run_in_threadpool(own_generation, api, request, key)
        return json_response({"data": generation_view(row)})

    return handle


def own_generation(api: Api, request: Request, key: ApiKey) -> Generation:
    """Find the generation of `?id=` if this key may see it; blocking.

    Raises:
        CallerError: no id, an unknown one, or another key's.
    """
    wanted = query.text(request.query_params, "id")
    if wanted is None:
        raise CallerError("id: is missing; send ?id=gen-…")
    row = _reports(api, key).generation(wanted)
    if row is None or row.account != key.account:
        why = "" if api.recording else ": nothing is recorded here, [ledger] enabled is false"
        raise NotFoundError(f"generation {wanted[:80]!r} is not known{why}")
    if key.role is not Role.MANAGEMENT and row.key_hash != key.hash:
        raise ForbiddenError(
            f"generation {wanted!r} belongs to another API key; use that one or a management key"
        )
    return row


def list_generations(api: Api) -> Handler:
    """`GET /generations`: newest first; inference keys see only their own."""

    async def handle(request: Request, key: ApiKey) -> Response:
        params = request.query_params
        query.only(params, LIST_PARAMS)
        span = query.span(params)
        own = None if key.role is Role.MANAGEMENT else key.hash
        asked = query.text(params, "api_key_hash")
        if own is not None and asked is not None and asked != own:
            raise ForbiddenError(
                f"api_key_hash: {asked[:80]!r} is another API key; use that one or a management key"
            )
        where = Filter(
            account=key.account,
            user=query.user(params),
            model=query.text(params, "model"),
            provider=query.provider(params, api.catalog),
            key_hash=own or asked,
            from_us=span.from_us,
            to_us=span.to_us,
        )
        before = query.text(params, "cursor")
        rows, cursor = await api.turns.run(
            _reports(api, key).generations, where, limit=query.limit(params), before=before
        )
        # One of ours that is unknown was deleted for its age, and so was all that came before it.
        if before is not None and not rows and not is_generation_id(before):
            known = await api.turns.run(_reports(api, key).generation, before)
            if known is None:
                raise CallerError("cursor: is not the next_cursor of an answer to this question")
        page = [generation_view(row) for row in rows]
        return json_response({"data": page, "next_cursor": cursor})

    return handle


def _reports(api: Api, key: ApiKey) -> Reports:
    return api.reports if key.role is Role.MANAGEMENT else api.for_callers
