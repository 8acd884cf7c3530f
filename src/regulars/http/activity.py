"""GET /activity: OpenRouter's report by day, model and endpoint, and by end user too."""

from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_response
from regulars.http.auth import require_management
from regulars.model.caller import ApiKey
from regulars.model.errors import CallerError
from regulars.stores.base import ActivityRow, Filter
from regulars.wire.views import usd

COMPLETED_DAYS: Final = 30
ROWS_MAX: Final = 100_000

_PARAMS: Final = frozenset(
    {"date", "from", "to", "user", "model", "provider", "api_key_hash", "group_by"}
)


def get_activity(api: Api) -> Handler:
    """`GET /activity` (management key).

    The last 30 completed UTC days, as OpenRouter answers; `date`, `from`, `to`, `user` or
    `group_by=user` ask for more than OpenRouter has, and include today.
    """

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        params = request.query_params
        query.only(params, _PARAMS)
        by_user = _by_user(query.text(params, "group_by"))
        span = query.day(params, "date") or query.span(params)
        if span.from_us is None and span.to_us is None:
            span = query.completed_days(api.now(), count=COMPLETED_DAYS)
            if by_user or "user" in params:
                span = query.Span(span.from_us, None)
        where = Filter(
            account=key.account,
            user=query.user(params),
            model=query.text(params, "model"),
            provider=query.provider(params, api.catalog),
            key_hash=query.text(params, "api_key_hash"),
            from_us=span.from_us,
            to_us=span.to_us,
        )
        rows = await run_in_threadpool(
            api.reports.activity, where, by_user=by_user, limit=ROWS_MAX + 1
        )
        if len(rows) > ROWS_MAX:
            raise CallerError(
                f"this answer has over {ROWS_MAX} rows; narrow it by date, from, to, user or model"
            )
        return json_response({"data": [_item(row, by_user=by_user) for row in rows]})

    return handle


def _by_user(group_by: str | None) -> bool:
    if group_by not in (None, "user"):
        raise CallerError(f"group_by: {group_by[:40]!r} is not known; known: user")
    return group_by == "user"


def _item(row: ActivityRow, *, by_user: bool) -> dict[str, Any]:
    sums = row.sums
    item = {
        "date": row.day,
        "model": row.model,
        "model_permaslug": row.model,
        "endpoint_id": row.endpoint or "",
        "provider_name": row.provider or "",
        "usage": usd(sums.cost_nanousd),
        "byok_usage_inference": 0,
        "requests": sums.requests,
        "prompt_tokens": sums.prompt_tokens,
        "completion_tokens": sums.completion_tokens,
        "reasoning_tokens": sums.reasoning_tokens,
        "cached_tokens": sums.cached_tokens,
        "cache_write_tokens": sums.cache_write_tokens,
        "failed_requests": sums.failed,
        "unpriced_requests": sums.unpriced,
        "cache_saving": usd(sums.cache_saving_nanousd),
    }
    return {**item, "user": row.user} if by_user else item
