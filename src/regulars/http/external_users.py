"""GET /external-users: OpenRouter's registry, read from the ledger: who has ever been named."""

from dataclasses import replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_response
from regulars.http.auth import require_management
from regulars.model.caller import ApiKey
from regulars.reports.schema import LIMIT_MAX, Condition, Order, ReportQuery
from regulars.wire.views import iso_time

PARAMS: Final = frozenset({"offset", "limit", "user", "include_inactive"})
OFFSET_MAX: Final = LIMIT_MAX - query.LIMIT_MAX


def list_external_users(api: Api) -> Handler:
    """`GET /external-users` (management key): by name; `/users` pages deeper and sorts.

    Nobody has to be registered here, so everyone is active; times are those of the first and
    the last request.
    """

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        params = request.query_params
        query.only(params, PARAMS)
        user = query.user(params)
        named = Condition("user", "neq", (None,))
        asked = ReportQuery(
            account=key.account,
            metrics=("last_seen",),
            dimensions=("user",),
            where=(named if user is None else Condition("user", "eq", (user,)),),
            order=(Order("user", descending=False),),
        )
        offset, limit = query.offset(params, most=OFFSET_MAX), query.limit(params)
        return json_response(await run_in_threadpool(_listed, api, asked, offset, limit))

    return handle


def _listed(api: Api, asked: ReportQuery, offset: int, limit: int) -> dict[str, Any]:
    page = api.reports.run(replace(asked, limit=offset + limit)).rows[offset:]
    count = api.reports.run(replace(asked, metrics=("users",), dimensions=(), order=())).rows[0][0]
    people = {str(user): int(last) for user, last in page if last is not None}
    first = api.reports.first_seen(asked.account, list(people))
    data = [
        {
            "user": user,
            "is_active": True,
            "created_at": iso_time(first.get(user, last_us)),
            "updated_at": iso_time(last_us),
        }
        for user, last_us in people.items()
    ]
    return {"data": data, "total_count": count}
