"""The page of models: what is served, by whom, at what price, and how it is used."""

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.stores.base import Reports, Sums
from regulars.web.access import Viewer
from regulars.web.figures import question, sums_of
from regulars.web.site import Site
from regulars.web.view import View, dates_refused, parse

PATH: Final = "/models"
MODELS_MAX: Final = 200
"""Models shown; the search finds the others."""


async def models_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show the catalog with each endpoint's use in the period."""
    view = parse(request.query_params)
    window = view.window(site.now_us)
    q = request.query_params.get("q", "").strip()[:100]
    used = await run_in_threadpool(_used, site.deps.reports, view, site)
    found = [
        model
        for model in site.deps.catalog.models.values()
        if q.lower() in model.id.lower()
        or any(q.lower() in each.provider.name.lower() for each in model.endpoints)
    ]
    return site.page(
        "models.html",
        viewer=viewer,
        path=PATH,
        view=view,
        window=window,
        dates_refused=dates_refused(request.query_params),
        q=q,
        models=found[:MODELS_MAX],
        models_in_all=len(found),
        used=used,
        unused=Sums(),
    )


def _used(reports: Reports, view: View, site: Site) -> dict[str | None, Sums]:
    where = view.where(site.deps.account, view.window(site.now_us))
    answer = reports.run(question(where, "endpoint"))
    return {None if row[0] is None else str(row[0]): sums_of(row[1:]) for row in answer.rows}
