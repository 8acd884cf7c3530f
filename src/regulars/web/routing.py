"""The routing page: how endpoints stand, who is at home where, and why a request would go there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.model.errors import CallerError
from regulars.routing.explain import Explanation
from regulars.routing.overview import Overview
from regulars.web.access import Viewer
from regulars.web.charts import Crowd, crowd
from regulars.web.figures import totals
from regulars.web.palette import colours
from regulars.web.site import Site
from regulars.web.view import NAME_CHARS_MAX, dates_refused, parse

PATH: Final = "/routing"


@dataclass(frozen=True, slots=True)
class Question:
    """What the viewer wants explained; `refused` says why it cannot be."""

    model: str = ""
    user: str = ""
    session: str = ""
    answer: Explanation | None = None
    refused: str = ""


async def routing_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show every endpoint's health, load against its fair share, and who is at home there."""
    seen = site.deps.routing()
    view = parse(request.query_params)
    window = view.window(site.now_us)
    where = view.where(site.deps.account, window)
    sums = await run_in_threadpool(totals, site.deps.reports, where)
    return site.flowing_page(
        "routing.html",
        request=request,
        viewer=viewer,
        path=PATH,
        view=view,
        window=window,
        dates_refused=dates_refused(request.query_params),
        seen=seen,
        homes=_homes(seen),
        question=_explained(site, request.query_params),
        models=sorted(site.deps.catalog.models),
        sums=sums,
        ask_comparison=partial(site.comparisons.of, view, where),
    )


def _homes(seen: Overview) -> list[tuple[str, list[Crowd]]]:
    """Draw each model's endpoints with the users and sessions at home there, to one scale."""
    endpoints = [each for model in seen.models for each in model.endpoints]
    most = max((seen.keys_held.get(each.id, 0) for each in endpoints), default=0)
    colour = colours(each.provider for each in endpoints)
    return [
        (
            model.model,
            [
                crowd(each.provider, seen.keys_held.get(each.id, 0), most, colour[each.provider])
                for each in model.endpoints
            ],
        )
        for model in seen.models
        if any(seen.keys_held.get(each.id, 0) for each in model.endpoints)
    ]


def _explained(site: Site, query: Mapping[str, str]) -> Question:
    model, user, session = (query.get(name, "") for name in ("ask", "of", "in"))
    if not model:
        return Question()
    if max(len(model), len(user), len(session)) > NAME_CHARS_MAX:
        return Question(refused=f"Names have {NAME_CHARS_MAX} characters at most.")
    try:
        return Question(model, user, session, site.deps.explain(model, user, session))
    except CallerError as exc:
        return Question(model, user, session, refused=exc.message)
