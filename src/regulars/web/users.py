"""The list of end users, and one end user's page."""

from dataclasses import dataclass, replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from regulars.model.generation import Generation
from regulars.stores.base import Filter, Sums, UserRow
from regulars.web.access import Viewer
from regulars.web.names import user_path
from regulars.web.panels import Answers, Figures, ask, breakdown, cards, chart, chips
from regulars.web.site import Site
from regulars.web.view import NAME_CHARS_MAX, View, parse

PATH: Final = "/users"
USERS_MAX: Final = 200
GENERATIONS_MAX: Final = 25


@dataclass(frozen=True, slots=True)
class Asked:
    """All that one user's page needs of the store."""

    answers: Answers
    models: list[Figures]
    providers: list[Figures]
    newest: list[Generation]
    older: str | None
    key_names: dict[str, str]


async def users_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """List users by cost; `?id=` goes to one."""
    wanted = request.query_params.get("id")
    if wanted in {".", ".."}:
        return await _user_page(site, request, viewer, wanted)
    if wanted:
        return RedirectResponse(user_path(wanted), status_code=303)
    view = parse(request.query_params)
    rows, sums = await run_in_threadpool(_list, site, view)
    return site.page(
        "users.html",
        viewer=viewer,
        path=PATH,
        view=view,
        window=view.window(site.now_us),
        users=rows,
        sums=sums,
        users_max=USERS_MAX,
    )


async def user_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show one user; ids may hold anything, slashes too."""
    user = request.path_params["user"]
    if not user:
        return RedirectResponse(PATH, status_code=303)
    return await _user_page(site, request, viewer, user)


async def _user_page(site: Site, request: Request, viewer: Viewer, user: str) -> Response:
    if len(user) > NAME_CHARS_MAX:
        return site.missing(viewer)
    view = parse(request.query_params, group="model")
    # The user is in the path, so links of this page don't repeat him.
    view = replace(view, user="", group="model" if view.group == "user" else view.group)
    asked = await run_in_threadpool(_ask, site, replace(view, user=user))
    if asked is None:
        return site.missing(viewer)
    path = user_path(user)
    return site.page(
        "user.html",
        viewer=viewer,
        path=path,
        user=user,
        view=view,
        window=asked.answers.window,
        cards=cards(asked.answers, view, path),
        chart=chart(asked.answers, view, path, asked.key_names),
        chips=chips(view, path, asked.key_names),
        key_names=asked.key_names,
        models=asked.models,
        providers=asked.providers,
        newest=asked.newest,
        older=asked.older,
    )


def _list(site: Site, view: View) -> tuple[list[UserRow], Sums]:
    where = view.where(site.deps.account, view.window(site.now_us))
    return site.deps.reports.users(where, limit=USERS_MAX), site.deps.reports.totals(where)


def _ask(site: Site, view: View) -> Asked | None:
    deps = site.deps
    everything = Filter(deps.account, user=view.user)
    if not deps.reports.generations(everything, limit=1, before=None)[0]:
        return None
    answers = ask(deps.reports, view, deps.account, site.now_us)
    where = view.where(deps.account, answers.window)
    newest, older = deps.reports.generations(
        where, limit=GENERATIONS_MAX, before=view.before or None
    )
    return Asked(
        answers=answers,
        models=breakdown(deps.reports, where, answers.window, "model"),
        providers=breakdown(deps.reports, where, answers.window, "provider"),
        newest=newest,
        older=older,
        key_names={key.hash: key.name for key in deps.keys.list_keys()},
    )
