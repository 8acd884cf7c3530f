"""The activity page: who used what, in one look."""

from dataclasses import dataclass, replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from regulars.model.generation import Generation
from regulars.stores.base import Filter
from regulars.web.access import Viewer
from regulars.web.export import export_links
from regulars.web.names import public_address
from regulars.web.panels import Answers, ask, cards, chart, chips
from regulars.web.people import COLUMNS, Person, top
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
    """All that the page needs of the store."""

    answers: Answers
    users: list[Person]
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
    return site.page(
        "activity.html",
        viewer=viewer,
        path=PATH,
        view=view,
        window=asked.answers.window,
        dates_refused=dates_refused(request.query_params),
        cards=cards(asked.answers, view, PATH),
        chart=chart(asked.answers, view, PATH, asked.key_names),
        chips=chips(view, PATH, asked.key_names),
        exports=export_links(view),
        columns=COLUMNS,
        users=asked.users,
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
    where = view.where(deps.account, answers.window)
    newest, older = deps.reports.generations(
        where, limit=GENERATIONS_MAX, before=view.before or None
    )
    return Asked(
        answers=answers,
        users=top(deps.reports, where, limit=USERS_MAX),
        newest=newest,
        older=older,
        key_names={key.hash: key.name for key in deps.keys.list_keys()},
    )


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
