"""The table of the site's routes. The composition root mounts them beside the JSON API."""

from functools import partial

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from regulars.web.activity import activity_page, pulse
from regulars.web.deps import WebDeps
from regulars.web.export import export
from regulars.web.flowing import COMPRESS_LEVEL
from regulars.web.headers import PageHeaders
from regulars.web.identifiers import identifiers_page
from regulars.web.keys import change_key, key_page, keys_page, make_key, switch_key
from regulars.web.login import login, login_page, logout
from regulars.web.models import models_page
from regulars.web.one_person import erase_user, export_user, merge_users
from regulars.web.routing import routing_page
from regulars.web.sessions import session_page
from regulars.web.site import Endpoint, guarded_json, guarded_page, open_site
from regulars.web.story import generation_page
from regulars.web.tokens import HOME
from regulars.web.users import user_page, users_page

__all__ = ["WebDeps", "page_routes"]

_COMPRESS_FROM_BYTES = 1000


def page_routes(deps: WebDeps) -> list[BaseRoute]:
    """Make the routes of all pages. Reads templates and static files once."""
    site = open_site(deps)
    return [
        _route("/", _home),
        _route("/login", partial(login_page, site)),
        _route("/login", partial(login, site), method="POST"),
        _route("/logout", guarded_page(site, logout), method="POST"),
        _route("/activity", guarded_page(site, activity_page)),
        _route("/activity/pulse", guarded_json(site, pulse)),
        # Exports are streamed and may be compressed already.
        Route("/activity/export", guarded_page(site, export), middleware=[Middleware(PageHeaders)]),
        _route("/users", guarded_page(site, users_page)),
        _route("/users/{user:path}", guarded_page(site, user_page)),
        # Paths of their own: any id may stand under /users.
        _route("/erase-user", guarded_page(site, erase_user), method="POST"),
        _route("/merge-users", guarded_page(site, merge_users), method="POST"),
        Route(
            "/export-user",
            guarded_page(site, export_user),
            methods=["POST"],
            middleware=[Middleware(PageHeaders)],
        ),
        _route("/sessions", guarded_page(site, session_page)),
        _route("/sessions/{session:path}", guarded_page(site, session_page)),
        _route("/models", guarded_page(site, models_page)),
        _route("/identifiers", guarded_page(site, identifiers_page)),
        _route("/routing", guarded_page(site, routing_page)),
        _route("/keys", guarded_page(site, keys_page)),
        _route("/keys", guarded_page(site, make_key), method="POST"),
        _route("/keys/{key}", guarded_page(site, key_page)),
        _route("/keys/{key}", guarded_page(site, change_key), method="POST"),
        _route("/keys/{key}/switch", guarded_page(site, switch_key), method="POST"),
        _route("/generations/{generation}", guarded_page(site, generation_page)),
        Route("/static/{digest}/{name}", site.assets.serve, middleware=[Middleware(PageHeaders)]),
    ]


def _route(path: str, endpoint: Endpoint, *, method: str = "GET") -> Route:
    compress = Middleware(
        GZipMiddleware, minimum_size=_COMPRESS_FROM_BYTES, compresslevel=COMPRESS_LEVEL
    )
    return Route(path, endpoint, methods=[method], middleware=[Middleware(PageHeaders), compress])


async def _home(_request: Request) -> Response:
    return RedirectResponse(HOME, status_code=303)
