"""One session's page: a conversation turn by turn, and whether its cache stayed warm."""

from dataclasses import dataclass, replace
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from regulars.model.generation import Generation
from regulars.reports.schema import Condition, Order
from regulars.stores.base import Filter, Reports, Sums
from regulars.web.access import Viewer
from regulars.web.charts import turns
from regulars.web.figures import question
from regulars.web.moves import moves
from regulars.web.periods import DAY_US
from regulars.web.site import Site
from regulars.web.view import NAME_CHARS_MAX

PATH: Final = "/activity"
LOOKED_AT_MAX: Final = 5000
"""Rows that are looked at for a session's own, newest first: no index knows sessions."""
PAGE_ROWS: Final = 500
TURNS_MAX: Final = 200
SEARCH_DAYS: Final = 30
"""How far back a session is sought whose user and time the link did not tell."""
_MOMENT_DIGITS_MAX: Final = 17


@dataclass(frozen=True, slots=True)
class Found:
    """A session's generations, oldest first; `whole` unless there may be more of them."""

    rows: list[Generation]
    whole: bool


async def session_page(site: Site, request: Request, viewer: Viewer) -> Response:
    """Show one session; `user` and `at` in the query tell where to look for it."""
    params = request.query_params
    session = request.path_params.get("session") or params.get("id", "")
    if not session:
        return RedirectResponse(PATH, status_code=303)
    user, at = params.get("user", ""), params.get("at", "")
    if max(len(session), len(user)) > NAME_CHARS_MAX:
        return site.missing(viewer)
    at_us = int(at) if at.isascii() and at.isdigit() and len(at) <= _MOMENT_DIGITS_MAX else None
    found = await run_in_threadpool(_find, site, session, user or None, at_us)
    if not found.rows:
        return site.missing(viewer)
    return site.page(
        "session.html",
        viewer=viewer,
        session=session,
        user=found.rows[-1].end_user,
        found=found,
        sums=added_up(found.rows),
        turns=turns(found.rows),
        moves=moves(found.rows[::-1]),
        first=found.rows[0],
        last=found.rows[-1],
    )


def added_up(rows: list[Generation]) -> Sums:
    """Add up the figures of a few rows."""
    used = [row.usage for row in rows if row.usage is not None]
    costs = [row.cost for row in rows if row.cost is not None]
    return Sums(
        requests=len(rows),
        failed=sum(row.outcome.value != "completed" for row in rows),
        prompt_tokens=sum(usage.prompt_tokens for usage in used),
        completion_tokens=sum(usage.completion_tokens for usage in used),
        cached_tokens=sum(usage.cached_tokens or 0 for usage in used),
        cost_nanousd=sum(cost.total for cost in costs),
        cache_saving_nanousd=sum(cost.cache_saving for cost in costs),
        unpriced=sum(row.price_status == "unknown" for row in rows),
    )


def _find(site: Site, session: str, user: str | None, at_us: int | None) -> Found:
    account, reports = site.deps.account, site.deps.reports
    where = Filter(account, user=user)
    if at_us is not None:
        where = replace(where, from_us=max(0, at_us - DAY_US), to_us=at_us + DAY_US)
    elif user is None:
        sought = _sought(reports, account, session, site.now_us)
        if sought is None:
            return Found([], whole=True)
        where = sought
    rows: list[Generation] = []
    before: str | None = None
    for _ in range(LOOKED_AT_MAX // PAGE_ROWS):
        page, before = reports.generations(where, limit=PAGE_ROWS, before=before)
        rows += [row for row in page if row.session == session and row.account == account]
        if before is None or len(rows) >= TURNS_MAX:
            break
    return Found(rows[:TURNS_MAX][::-1], whole=before is None and len(rows) <= TURNS_MAX)


def _sought(reports: Reports, account: str, session: str, now_us: int) -> Filter | None:
    """Find out whose session it is and when it was, by reading every row of some days."""
    recent = Filter(account, from_us=now_us - SEARCH_DAYS * DAY_US, to_us=now_us)
    query = question(recent, "user", metrics=("requests", "last_seen"))
    named = Condition("session", "eq", (session,))
    answer = reports.run(
        replace(
            query,
            where=(*query.where, named),
            order=(Order("last_seen"),),
            limit=1,
        )
    )
    if not answer.rows:
        return None
    user, _, last = answer.rows[0]
    last_us = int(last or 0)
    return Filter(
        account,
        user=None if user is None else str(user),
        from_us=last_us - DAY_US,
        to_us=last_us + DAY_US,
    )
