"""GET /identifiers: how healthy the ids are that requests name their users by."""

from dataclasses import asdict
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_response
from regulars.http.auth import require_management
from regulars.model.caller import ApiKey
from regulars.stores.base import Filter
from regulars.stores.identifiers import look_at_identifiers

PARAMS: Final = frozenset({"from", "to"})


def get_identifiers(api: Api) -> Handler:
    """`GET /identifiers`: of the last 30 days, or of `from` and `to`."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, PARAMS)
        asked = "from" in request.query_params or "to" in request.query_params
        span = query.span(request.query_params)
        if not asked:
            span = query.Span(query.completed_days(api.now(), count=30).from_us)
        where = Filter(key.account, from_us=span.from_us, to_us=span.to_us)
        report = await api.turns.run(look_at_identifiers, api.reports, api.noticed, where)
        return json_response({"data": asdict(report)})

    return handle
