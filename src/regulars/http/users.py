"""/users and /users/{id}: the account's end users, one of them, and erasing him."""

from dataclasses import replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.activity import ALWAYS_US
from regulars.http.api import Api, Handler, json_response
from regulars.http.auth import require_management
from regulars.http.report_json import FIGURES, FILTERS, conditions, figures, items, zone
from regulars.identity.name import USER_LENGTH_MAX, accept_name
from regulars.model.caller import ApiKey
from regulars.model.errors import CallerError, NotFoundError
from regulars.reports.definitions import METRICS
from regulars.reports.schema import (
    SOMEBODY,
    TIME,
    Condition,
    Order,
    ReportQuery,
    ReportResult,
    Window,
)
from regulars.reports.windows import label, zone_named
from regulars.stores.base import Reports
from regulars.wire.views import iso_time

DAYS_DEFAULT: Final = 30
SESSIONS_MAX: Final = 50
MODELS_MAX: Final = 100
DAYS_MAX: Final = 1000
LIST_PARAMS: Final = FILTERS | {"q", "sort", "order", "limit", "cursor", "time_zone"}
ONE_PARAMS: Final = frozenset({"from", "to", "time_zone", "model", "provider", "api_key_hash"})
TREND: Final = ("requests", "cost")
SPEED: Final = (
    "sessions",
    "cost_prompt",
    "cost_completion",
    "ttft_p50",
    "ttft_p90",
    "ttft_p99",
    "duration_p50",
    "duration_p90",
    "duration_p99",
    "tokens_per_second",
)
"""What is read from one user's own rows."""


def list_users(api: Api) -> Handler:
    """`GET /users` (management key): the last 30 days, today with them, unless `from` or `to` say otherwise.

    `q` searches ids, `sort` takes any metric; requests that named nobody are left out. `cut` says
    who was not looked at, where a figure is not read of everybody's requests.
    """

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        params = request.query_params
        query.only(params, LIST_PARAMS)
        sort = _sort(query.text(params, "sort"))
        where = (*conditions(params, api.catalog), SOMEBODY)
        if (searched := query.text(params, "q")) is not None:
            where = (*where, Condition("user", "contains", (searched,)))
        asked = ReportQuery(
            account=key.account,
            metrics=(*FIGURES, *(() if sort in FIGURES else (sort,))),
            dimensions=("user",),
            where=where,
            window=_window(api, query.span(params)),
            zone=zone(params),
            order=(Order(sort, descending=_falls(query.text(params, "order"))),),
            limit=query.limit(params),
            cursor=query.text(params, "cursor"),
        )
        page, result = await api.turns.run(_page, api, asked)
        # That there are more is what the cursor says.
        cut = result.cut if result.partial else None
        return json_response({"data": page, "next_cursor": result.next, "cut": cut})

    return handle


def get_user(api: Api) -> Handler:
    """`GET /users/{id}` (management key): sums, models, days, sessions of one end user."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        params = request.query_params
        query.only(params, ONE_PARAMS)
        user = accept_name(request.path_params["user"], field="user", length_max=USER_LENGTH_MAX)
        asked = ReportQuery(
            account=key.account,
            metrics=FIGURES,
            where=(Condition("user", "eq", (user,)), *conditions(params, api.catalog)),
            window=_window(api, query.span(params)),
            zone=zone(params),
        )
        view = await api.turns.run(user_view, api.reports, user, asked)
        if view is None:
            raise NotFoundError(f"user {user[:100]!r} is not known; ids are case-sensitive")
        called = await run_in_threadpool(api.registry.display_names, key.account, [user])
        return json_response({"data": view | {"display_name": called.get(user)}})

    return handle


def delete_user(api: Api) -> Handler:
    """`DELETE /users/{id}`: the id goes everywhere, the sums stay; answers the signed receipt."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        user = accept_name(request.path_params["user"], field="user", length_max=USER_LENGTH_MAX)
        receipt = await run_in_threadpool(api.erase, key.account, user, key.hash)
        await run_in_threadpool(
            api.keys.note_use, key, "user_erased", {"subject": (None, receipt["subject"])}
        )
        return json_response({"data": receipt})

    return handle


def _sort(name: str | None) -> str:
    if name is not None and name not in METRICS:
        raise CallerError(f"sort: {name[:50]!r} is not known; known: {', '.join(METRICS)}")
    return name or "cost"


def _falls(order: str | None) -> bool:
    if order not in (None, "asc", "desc"):
        raise CallerError(f"order: {order[:20]!r} is not known; known: asc, desc")
    return order != "asc"


def _window(api: Api, span: query.Span) -> Window:
    begin = span.from_us
    if begin is None and span.to_us is None:
        # From a midnight (UTC) on: whole days are kept added up, parts of one are not.
        begin = query.completed_days(api.now(), count=DAYS_DEFAULT - 1).from_us
    return Window(begin or 0, ALWAYS_US if span.to_us is None else span.to_us)


def _page(api: Api, asked: ReportQuery) -> tuple[list[dict[str, Any]], ReportResult]:
    result = api.reports.run(asked)
    page = items(result)
    people = [item["user"] for item in page]
    first = api.reports.first_seen(asked.account, people)
    trends = _trends(api, asked, people)
    called = api.registry.display_names(asked.account, people)
    for item in page:
        name = item["user"]
        item["display_name"] = called.get(name)
        item["first_seen"] = iso_time(first[name]) if name in first else None
        item["trend"] = trends.get(name, [])
    return page, result


def _trends(api: Api, asked: ReportQuery, people: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return requests and cost by day of everyone on the page; days without any are left out."""
    where = (*asked.where, Condition("user", "in", tuple(people)))
    by_day = replace(
        asked,
        metrics=TREND,
        where=where,
        step="day",
        order=(Order(TIME, descending=False),),
        cursor=None,
        limit=DAYS_MAX * max(len(people), 1),
    )
    trends: dict[str, list[dict[str, Any]]] = {}
    if people:
        for item in _days(api.reports.run(by_day), by_day):
            trends.setdefault(item.pop("user"), []).append(item)
    return trends


def _days(result: ReportResult, asked: ReportQuery) -> list[dict[str, Any]]:
    place = zone_named(asked.zone)
    found = items(result)
    return [{"date": label(item.pop(TIME), "day", place), **item} for item in found]


def user_view(reports: Reports, user: str, asked: ReportQuery) -> dict[str, Any] | None:
    """Return all about one user as `GET /users/{id}` shows it; None where he is not known."""
    first = reports.first_seen(asked.account, [user]).get(user)
    ever = replace(asked, metrics=("requests", "last_seen"), where=asked.where[:1], window=Window())
    requests, last = reports.run(ever).rows[0]
    if not requests:
        return None
    by_day = replace(asked, step="day", order=(Order(TIME, descending=False),), limit=DAYS_MAX)
    by_model = replace(asked, dimensions=("model",), order=(Order("cost"),), limit=MODELS_MAX)
    sessions = replace(
        asked,
        metrics=("requests", "cost", "prompt_tokens", "cached_tokens", "cached_share", "last_seen"),
        dimensions=("session",),
        order=(Order("last_seen"),),
        limit=SESSIONS_MAX,
    )
    run = reports.run
    return {
        "user": user,
        "first_seen": None if first is None else iso_time(first),
        "last_seen": None if last is None else iso_time(int(last)),
        "summary": figures(FIGURES, run(asked).rows[0])
        | figures(SPEED, run(replace(asked, metrics=SPEED)).rows[0]),
        "by_model": items(run(by_model)),
        "by_provider": items(run(replace(by_model, dimensions=("provider",)))),
        "by_day": _days(run(by_day), by_day),
        "sessions": items(run(sessions)),
    }
