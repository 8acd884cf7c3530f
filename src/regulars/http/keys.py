"""GET /key: the calling key and what it spent."""

from datetime import timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http.api import Api, Handler, json_response
from regulars.model.caller import ApiKey
from regulars.stores.base import Filter
from regulars.wire.views import key_view


def get_key(api: Api) -> Handler:
    """`GET /key`: windows are the UTC day, the ISO week and the month, as on OpenRouter."""

    async def handle(_request: Request, key: ApiKey) -> Response:
        now = api.now()
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        begins = {
            "usage": None,
            "daily": today,
            "weekly": today - timedelta(days=today.weekday()),
            "monthly": today.replace(day=1),
        }

        def spent() -> dict[str, int]:
            return {
                name: api.reports.totals(
                    Filter(
                        account=key.account,
                        key_hash=key.hash,
                        from_us=None if begin is None else int(begin.timestamp()) * 1_000_000,
                    )
                ).cost_nanousd
                for name, begin in begins.items()
            }

        return json_response({"data": key_view(key, **await run_in_threadpool(spent))})

    return handle
