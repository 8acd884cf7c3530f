"""GET /routing/report and /routing/endpoints: what stickiness is worth, and how endpoints stand."""

import time
from dataclasses import asdict
from datetime import timedelta
from random import Random
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from regulars.http import query
from regulars.http.api import Api, json_response, with_key
from regulars.http.auth import require_management
from regulars.http.routes import BASES
from regulars.model.caller import ApiKey
from regulars.reports.worth import Use, Worth, tally, worth
from regulars.routing.overview import Overview, overview
from regulars.routing.plan import Planner
from regulars.stores.base import Filter, Reports

REPORT_PATH: Final = "/routing/report"
ENDPOINTS_PATH: Final = "/routing/endpoints"
DAYS: Final = 7
PAGE_ROWS: Final = 1000
ROWS_MAX: Final = 20_000
"""The newest of the time asked for: more would take this process's time from requests for
seconds. `regulars routing report`, in a process of its own, reads more."""
SEED: Final = 20_260_101
"""Always the same, so that the same ledger gives the same interval."""

_PARAMS: Final = frozenset({"from", "to"})


def routing_routes(api: Api, planner: Planner) -> list[BaseRoute]:
    """Build both routes, for management keys. What endpoints is the view of this process."""

    async def report(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, _PARAMS)
        span = query.span(request.query_params)
        if span.from_us is None and span.to_us is None:
            from_us = int((api.now() - timedelta(days=DAYS)).timestamp() * 1_000_000)
            span = query.Span(from_us, None)
        where = Filter(key.account, from_us=span.from_us, to_us=span.to_us)
        found, whole = await run_in_threadpool(compare, api.reports, where)
        return json_response({"data": {"complete": whole, **asdict(found)}})

    async def endpoints(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, frozenset())
        seen = overview(planner, api.catalog, time.monotonic())
        return json_response({"data": _models(seen), "models_in_all": seen.models_in_all})

    handlers = ((REPORT_PATH, report), (ENDPOINTS_PATH, endpoints))
    return [
        Route(base + path, with_key(api, handle)) for base in BASES for path, handle in handlers
    ]


def compare(reports: Reports, where: Filter) -> tuple[Worth, bool]:
    """Compare sticky users with the holdout, and say whether all rows were read. Blocking."""
    tallied, whole = tally(
        lambda before: reports.generations(where, limit=PAGE_ROWS, before=before),
        pages_max=ROWS_MAX // PAGE_ROWS,
    )
    random = Random(SEED)  # noqa: S311 - draws samples, no secrets

    def draw(users: "list[Use]", count: int) -> "list[Use]":
        return random.choices(users, k=count)

    return worth(tallied, draw), whole  # pyright: ignore[reportArgumentType] - a list is drawn from lists


def _models(seen: Overview) -> list[dict[str, Any]]:
    return [
        {
            "model": model.model,
            "endpoints": [
                {**asdict(endpoint), "keys_held": seen.keys_held.get(endpoint.id, 0)}
                for endpoint in model.endpoints
            ],
        }
        for model in seen.models
    ]
