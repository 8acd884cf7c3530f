"""The activity page: who used what, in one look."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from regulars.model.generation import Generation
from regulars.stores.base import Filter
from regulars.web.access import Viewer
from regulars.web.export import export_links
from regulars.web.figures import Figures
from regulars.web.flowing import Once
from regulars.web.names import public_address
from regulars.web.panels import (
    Answers,
    ChartPanel,
    ask,
    cards,
    chart,
    chart_points,
    chips,
    grouped_points,
)
from regulars.web.people import COLUMNS, Ranked, top
from regulars.web.periods import HOUR_US
from regulars.web.site import Site
from regulars.web.view import View, dates_refused, parse

YOUNG_PERIOD: Final = "1h"
PATH: Final = "/activity"
USERS_MAX: Final = 25
GENERATIONS_MAX: Final = 25
FALLBACK_ADDRESS: Final = "127.0.0.1:8787"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page asks of the store before its first piece leaves."""

    answers: Answers
    newest: list[Generation]
    older: str | None
    key_names: dict[str, str]


async def activity_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show the activity page, or the first steps while the ledger is empty."""
    if await run_in_threadpool(_is_empty, site):
        return _first_steps(site, request, viewer)
    view = parse(request.query_params)
    if not request.query_params and await run_in_threadpool(_is_young, site):
        view = replace(view, period=YOUNG_PERIOD)
    asked = await run_in_threadpool(_ask, site, view)
    # Everybody is ranked once, for the chart and for the list: 0.3 s of 5 M rows.
    ranked = Once(partial(top, site.deps.reports, asked.answers.where, limit=USERS_MAX))
    return site.flowing_page(
        "activity.html",
        request=request,
        viewer=viewer,
        path=PATH,
        view=view,
        window=asked.answers.window,
        dates_refused=dates_refused(request.query_params),
        cards=cards(asked.answers, view, PATH),
        ask_chart=partial(_chart, site, view, asked, ranked),
        chips=chips(view, PATH, asked.key_names),
        exports=export_links(view),
        columns=COLUMNS,
        ask_users=ranked,
        newest=asked.newest,
        older=asked.older,
        key_names=asked.key_names,
        models=sorted(site.deps.catalog.models),
        providers=sorted({each.provider.name for each in site.deps.catalog.endpoints}),
    )


async def pulse(site: Site, _request: Request, _viewer: Viewer) -> Response:
    """Tell in a few bytes whether anything happened: the same mark means the same ledger."""
    return JSONResponse({"mark": await run_in_threadpool(_mark, site)})


def _ask(site: Site, view: View) -> Asked:
    deps = site.deps
    answers = ask(deps.reports, view, deps.account, site.now_us)
    newest, older = deps.reports.generations(
        answers.where, limit=GENERATIONS_MAX, before=view.before or None
    )
    return Asked(
        answers=answers,
        newest=newest,
        older=older,
        key_names={key.hash: key.name for key in deps.keys.list_keys()},
    )


def _chart(site: Site, view: View, asked: Asked, ranked: Once[Ranked]) -> ChartPanel:
    reports, answers = site.deps.reports, asked.answers
    if view.group == "user":
        people, more = ranked()
        figures = [Figures(person.user, person.sums) for person in people]
        points = chart_points(reports, answers, "user", figures, more=more)
    else:
        points = grouped_points(reports, answers, view.group)
    return chart(points, answers.window, view, PATH, asked.key_names)


def _is_empty(site: Site) -> bool:
    return not _newest(site)


def _is_young(site: Site) -> bool:
    """Whether all there is happened within the last hour: one bar of 24 would say little."""
    before = Filter(site.deps.account, to_us=site.now_us - HOUR_US)
    return not site.deps.reports.generations(before, limit=1, before=None)[0]


def _newest(site: Site) -> list[Generation]:
    return site.deps.reports.generations(Filter(site.deps.account), limit=1, before=None)[0]


def _mark(site: Site) -> str | None:
    newest = _newest(site)
    if not newest:
        return None
    # A long answer is kept after shorter ones that began later, so the newest id is not enough.
    day_us = 86_400_000_000
    today = Filter(site.deps.account, from_us=site.now_us // day_us * day_us)
    return f"{newest[0].id}.{site.deps.reports.totals(today).requests}"


def _first_steps(site: Site, request: Request, viewer: Viewer) -> Response:
    address = public_address(request.url.scheme, request.headers.get("host"), FALLBACK_ADDRESS)
    model = next(iter(site.deps.catalog.models), "your/model")
    return site.page("first_steps.html", viewer=viewer, address=address, model=model)
