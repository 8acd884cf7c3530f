"""The list of end users, and one end user's page."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from regulars.model.caller import ApiKey
from regulars.model.generation import Generation
from regulars.reports.schema import Condition, Order
from regulars.stores.base import Filter, Reports, SeriesPoint, Sums
from regulars.stores.spendings import Begins, KeySpent
from regulars.web.access import Viewer
from regulars.web.export import export_links
from regulars.web.figures import Figures, question, totals
from regulars.web.flowing import Once
from regulars.web.id_notes import notes_of
from regulars.web.moves import Move, moves
from regulars.web.names import user_path
from regulars.web.panels import (
    Answers,
    ask,
    breakdown,
    cards,
    chart,
    chips,
    fleet_note,
    grouped_points,
)
from regulars.web.people import COLUMNS, PATH, SHOW_WORDS, list_people, parse_people
from regulars.web.periods import moment
from regulars.web.site import Site
from regulars.web.view import NAME_CHARS_MAX, View, dates_refused, parse

GENERATIONS_MAX: Final = 25
LOOKED_AT_MAX: Final = 300
"""Of the newest generations, for moves from one endpoint to another."""
MOVES_MAX: Final = 12
SESSIONS_MAX: Final = 12
KEYS_MAX: Final = 10
_SESSION: Final = ("requests", "cost", "prompt_tokens", "cached_tokens", "last_seen")


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation of a user within the window."""

    name: str
    requests: int
    cost_nanousd: int
    prompt_tokens: int
    cached_tokens: int
    last_seen_us: int


@dataclass(frozen=True, slots=True)
class UsedKey:
    """A key that brought a user; `key` is None once it was deleted, `remaining` without a limit."""

    figures: Figures
    key: ApiKey | None
    remaining: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """All that one user's page needs of the store."""

    answers: Answers
    points: list[SeriesPoint]
    fleet: Sums
    first_seen_us: int | None
    models: list[Figures]
    providers: list[Figures]
    sessions: list[Session]
    moves: list[Move]
    newest: list[Generation]
    older: str | None
    keys: list[UsedKey]
    key_names: dict[str, str]
    called: str | None
    """His display name."""


async def users_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """List users; `?id=` goes to one."""
    wanted = request.query_params.get("id")
    if wanted in {".", ".."}:
        return await _user_page(site, request, viewer, wanted)
    if wanted:
        return RedirectResponse(user_path(wanted), status_code=303)
    asked = parse_people(request.query_params)
    window = asked.view.window(site.now_us)
    account, reports = site.deps.account, site.deps.reports
    sums = await run_in_threadpool(totals, reports, asked.view.where(account, window))
    people = Once(partial(list_people, reports, account, asked, window))
    if asked.cursor:
        # One that was tampered with is refused, and only before the first piece can be.
        await run_in_threadpool(people)
    return site.flowing_page(
        "users.html",
        request=request,
        viewer=viewer,
        path=PATH,
        people_view=asked,
        view=asked.view,
        window=window,
        dates_refused=dates_refused(request.query_params),
        ask_people=people,
        sums=sums,
        all_columns=COLUMNS,
        shows=SHOW_WORDS,
        exports=export_links(replace(asked.view, group="user")),
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
    of_user = replace(view, user=user)
    asked = await run_in_threadpool(_ask, site, of_user)
    if asked is None:
        return site.missing(viewer)
    path = user_path(user)
    return site.page(
        "user.html",
        viewer=viewer,
        path=path,
        user=user,
        called=asked.called,
        view=view,
        window=asked.answers.window,
        dates_refused=dates_refused(request.query_params),
        cards=cards(asked.answers, view, path, cache_note=fleet_note(asked.fleet)),
        chart=chart(asked.points, asked.answers.window, view, path, asked.key_names),
        chips=chips(view, path, asked.key_names),
        exports=export_links(of_user),
        asked=asked,
        notes=notes_of(user),
        looked_at=LOOKED_AT_MAX,
        key_names=asked.key_names,
        newest=asked.newest[:GENERATIONS_MAX],
        older=asked.older,
    )


def _ask(site: Site, view: View) -> Asked | None:
    deps = site.deps
    everything = Filter(deps.account, user=view.user)
    if not deps.reports.generations(everything, limit=1, before=None)[0]:
        return None
    answers = ask(deps.reports, view, deps.account, site.now_us)
    where = answers.where
    newest, older = deps.reports.generations(where, limit=LOOKED_AT_MAX, before=view.before or None)
    if len(newest) > GENERATIONS_MAX:
        older = newest[GENERATIONS_MAX - 1].id
    return Asked(
        answers=answers,
        points=grouped_points(deps.reports, answers, view.group),
        fleet=totals(deps.reports, replace(where, user=None)),
        first_seen_us=deps.reports.first_seen(deps.account, [view.user]).get(view.user),
        models=breakdown(deps.reports, where, "model"),
        providers=breakdown(deps.reports, where, "provider"),
        sessions=_sessions(deps.reports, where),
        moves=moves(newest)[:MOVES_MAX],
        newest=newest,
        older=older,
        keys=_keys(site, where),
        key_names={key.hash: key.name for key in deps.keys.list_keys()},
        called=deps.registry.display_names(deps.account, [view.user]).get(view.user),
    )


def _keys(site: Site, where: Filter) -> list[UsedKey]:
    """Return the keys that brought the user, with the limits that bound what he can spend."""
    deps, begins = site.deps, Begins.at(moment(site.now_us))
    found: list[UsedKey] = []
    for group in breakdown(deps.reports, where, "key")[:KEYS_MAX]:
        key = deps.keys.find_key(group.name) if group.name else None
        remaining = None
        if key is not None and key.terms.limit_nanousd is not None:
            spent = deps.spendings.keys_spent(deps.account, begins, key_hash=key.hash)
            remaining = spent.get(key.hash, KeySpent()).remaining(key.terms)
        found.append(UsedKey(group, key, remaining))
    return found


def _sessions(reports: Reports, where: Filter) -> list[Session]:
    query = question(where, "session", metrics=_SESSION)
    named = Condition("session", "neq", (None,))
    answer = reports.run(
        replace(query, where=(*query.where, named), order=(Order("last_seen"),), limit=SESSIONS_MAX)
    )
    return [Session(str(row[0]), *(int(cell or 0) for cell in row[1:])) for row in answer.rows]
