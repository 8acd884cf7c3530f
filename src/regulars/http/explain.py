"""POST /routing/explain: what would be chosen for a chat request, and why, without sending it."""

import time
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from regulars.http.api import Api, json_response, with_key
from regulars.http.auth import require_management
from regulars.http.body import read_body
from regulars.http.routes import BASES
from regulars.http.wanted import WantedReader
from regulars.model.caller import ApiKey
from regulars.routing.explain import explain
from regulars.routing.plan import Planner
from regulars.wire.chat import parse_chat

EXPLAIN_PATH: Final = "/routing/explain"


def explain_routes(
    api: Api, planner: Planner, wanted: WantedReader, body_limit_bytes: int
) -> list[BaseRoute]:
    """Build the route. Its view is that of the process that answers."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        headers = dict(request.scope["headers"])
        chat = parse_chat(await read_body(request.receive, headers, body_limit_bytes))
        asked = wanted.read(chat, key, headers)
        now_s = time.monotonic()
        plan = planner.plan(chat, asked.candidates, now_s=now_s, reason=asked.cold_reason)
        explained = msgspec.to_builtins(explain(planner, plan, now_s))
        return json_response(
            {"data": {"user": asked.end_user, "session_id": asked.session, **explained}}
        )

    return [Route(base + EXPLAIN_PATH, with_key(api, handle), methods=["POST"]) for base in BASES]
