"""The page of identifier health: what is wrong with the ids requests name users by, and the fix."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from regulars.stores.identifiers import look_at_identifiers
from regulars.web.access import Viewer
from regulars.web.flowing import Once
from regulars.web.site import Site
from regulars.web.view import dates_refused, parse

PATH = "/identifiers"


async def identifiers_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show each finding: whom and how much it touches, what it costs in warmth, what to do."""
    view = parse(request.query_params)
    window = view.window(site.now_us)
    deps = site.deps
    where = view.where(deps.account, window)
    return site.flowing_page(
        "identifiers.html",
        request=request,
        viewer=viewer,
        path=PATH,
        view=view,
        window=window,
        dates_refused=dates_refused(request.query_params),
        ask_report=Once(partial(look_at_identifiers, deps.reports, deps.noticed, where)),
    )
