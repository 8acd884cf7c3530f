"""The table of JSON routes. Every route needs a key unless it stands under OPEN."""

from collections.abc import Callable
from typing import Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from regulars.http.activity import get_activity
from regulars.http.analytics import get_meta, post_query
from regulars.http.api import Api, Handler, error_response, with_key
from regulars.http.catalog import list_endpoints, list_models
from regulars.http.content import get_content
from regulars.http.export import get_export
from regulars.http.external_users import (
    change_external_user,
    create_external_user,
    delete_external_user,
    get_external_user,
    list_external_users,
)
from regulars.http.generations import get_generation, list_generations
from regulars.http.identifiers import get_identifiers
from regulars.http.key_changes import delete_key, patch_key, post_key
from regulars.http.keys import get_key, get_one_key, list_keys
from regulars.http.openapi import document
from regulars.http.users import delete_user, get_user, list_users
from regulars.model.errors import CallerError, MethodNotAllowedError, NotFoundError

BASES: Final = ("/api/v1", "/v1")
CHAT_PATH: Final = "/chat/completions"
JOINED: Final = frozenset(base + path for base in BASES for path in (CHAT_PATH, "/models"))
"""Paths that clients join from a base URL, some with a slash too many."""

WITH_KEY: Final[dict[str, Callable[[Api], Handler]]] = {
    "/generation": get_generation,
    "/generation/content": get_content,
    "/generations": list_generations,
    "/activity": get_activity,
    "/activity/export": get_export,
    "/analytics/meta": get_meta,
    "/external-users": list_external_users,
    "/external-users/{user:path}": get_external_user,
    "/identifiers": get_identifiers,
    "/users": list_users,
    "/users/{user:path}": get_user,
    "/keys": list_keys,
    "/keys/{hash}": get_one_key,
    "/key": get_key,
    "/auth/key": get_key,
}
POST_WITH_KEY: Final[dict[str, Callable[[Api], Handler]]] = {
    "/analytics/query": post_query,
    "/external-users": create_external_user,
    "/keys": post_key,
}
PATCH_WITH_KEY: Final[dict[str, Callable[[Api], Handler]]] = {
    "/external-users/{user:path}": change_external_user,
    "/keys/{hash}": patch_key,
}
DELETE_WITH_KEY: Final[dict[str, Callable[[Api], Handler]]] = {
    "/users/{user:path}": delete_user,
    "/external-users/{user:path}": delete_external_user,
    "/keys/{hash}": delete_key,
}
OTHERS_WITH_KEY: Final = {
    "POST": POST_WITH_KEY,
    "PATCH": PATCH_WITH_KEY,
    "DELETE": DELETE_WITH_KEY,
}
OPEN: Final = frozenset(
    {"/models", "/models/{model:path}/endpoints", "/openapi.json", "/healthz", "/readyz"}
)
"""Routes that answer without a key (the pages have their own login)."""


def joined(path: str) -> str:
    """Return what a path was meant to be, if one of `JOINED` with slashes too many."""
    if "//" in path or path.endswith("/"):
        meant = "/" + "/".join(part for part in path.split("/") if part)
        if meant in JOINED:
            return meant
    return path


def api_routes(api: Api, *, ready: Callable[[], bool]) -> list[BaseRoute]:
    """Build the routes of the JSON API, without chat, which has a way of its own."""

    async def models(_request: Request) -> Response:
        return list_models(api)

    async def endpoints(request: Request) -> Response:
        return list_endpoints(api, request)

    described = msgspec.json.encode(document())

    async def openapi(_request: Request) -> Response:
        return Response(described, media_type="application/json")

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        if ready():
            off = {} if api.recording else {"ledger": "off"}
            return JSONResponse({"status": "ready", **off})
        return JSONResponse({"status": "not ready"}, 503)

    routes: list[BaseRoute] = [Route("/healthz", healthz), Route("/readyz", readyz)]
    for base in BASES:
        routes += [
            Route(base + path, with_key(api, handler(api))) for path, handler in WITH_KEY.items()
        ]
        routes += [
            Route(base + path, with_key(api, handler(api)), methods=[method])
            for method, handlers in OTHERS_WITH_KEY.items()
            for path, handler in handlers.items()
        ]
        routes += [
            Route(base + "/openapi.json", openapi),
            Route(base + "/models", models),
            Route(base + "/models/{model:path}/endpoints", endpoints),
        ]
    return routes


async def not_found(request: Request, _exc: Exception) -> Response:
    """Answer a path nobody serves."""
    return error_response(NotFoundError(f"path {request.url.path[:200]!r} is not served here"))


async def client_left(_request: Request, _exc: Exception) -> Response:
    """End a request whose client left before its body was whole; nobody reads this."""
    return error_response(CallerError("body: the client left before it was whole"))


async def method_not_allowed(request: Request, exc: Exception) -> Response:
    """Answer a method the path does not know."""
    assert isinstance(exc, HTTPException), "the router raises nothing else"
    allowed = (exc.headers or {}).get("Allow", "")
    response = error_response(
        MethodNotAllowedError(f"method {request.method}: not allowed here; use {allowed}")
    )
    response.headers["allow"] = allowed
    return response
