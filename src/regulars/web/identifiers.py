"""The page of identifier health: what is wrong with the ids requests name users by, and the fix."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.stores.identifiers import look_at_identifiers
from regulars.web.access import Viewer
from regulars.web.site import Site
from regulars.web.view import dates_refused, parse

PATH = "/identifiers"


async def identifiers_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show each finding: whom and how much it touches, what it costs in warmth, what to do."""
    view = parse(request.query_params)
    window = view.window(site.now_us)
    where = view.where(site.deps.account, window)
    deps = site.deps
    report = await run_in_threadpool(look_at_identifiers, deps.reports, deps.noticed, where)
    return site.page(
        "identifiers.html",
        viewer=viewer,
        path=PATH,
        view=view,
        window=window,
        dates_refused=dates_refused(request.query_params),
        report=report,
    )
