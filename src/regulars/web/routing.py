"""The routing page: how the endpoints stand, and what warm caches saved."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.web.access import Viewer
from regulars.web.site import Site
from regulars.web.view import dates_refused, parse

PATH = "/routing"


async def routing_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show every endpoint's health, load against its fair share, and who is at home there."""
    seen = site.deps.routing()
    view = parse(request.query_params)
    window = view.window(site.now_us)
    where = view.where(site.deps.account, window)
    sums = await run_in_threadpool(site.deps.reports.totals, where)
    return site.page(
        "routing.html",
        viewer=viewer,
        path=PATH,
        view=view,
        window=window,
        dates_refused=dates_refused(request.query_params),
        seen=seen,
        sums=sums,
    )
