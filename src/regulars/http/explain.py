"""POST /routing/explain: what would be chosen for a chat request, and why, without sending it."""

import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from regulars.http.api import Api, json_response, with_key
from regulars.http.auth import require_management
from regulars.http.body import read_body
from regulars.http.routes import BASES
from regulars.http.wanted import Wanted, WantedReader
from regulars.model.caller import ApiKey, Role
from regulars.routing.explain import Explanation, explain
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
        body = await read_body(request.receive, headers, body_limit_bytes)
        asked, found = _explained(planner, wanted, body, key=key, headers=headers)
        explained = msgspec.to_builtins(found)
        return json_response(
            {"data": {"user": asked.end_user, "session_id": asked.session, **explained}}
        )

    return [Route(base + EXPLAIN_PATH, with_key(api, handle), methods=["POST"]) for base in BASES]


def explainer(
    planner: Planner, wanted: WantedReader, account: str
) -> Callable[[str, str, str], Explanation]:
    """Return what explains a short request of (model, user, session), empty for none.

    It raises CallerError where such a request would be refused.
    """
    key = ApiKey("", "pages", "", Role.MANAGEMENT, account, created_at_ms=0)

    def answer(model: str, user: str, session: str) -> Explanation:
        fields = {"model": model, "messages": [{"role": "user", "content": "Hello!"}]}
        named = {"user": user, "session_id": session}
        body = msgspec.json.encode(fields | {name: value for name, value in named.items() if value})
        return _explained(planner, wanted, body, key=key, headers={})[1]

    return answer


def _explained(
    planner: Planner,
    wanted: WantedReader,
    body: bytes,
    *,
    key: ApiKey,
    headers: Mapping[bytes, bytes],
) -> tuple[Wanted, Explanation]:
    chat = parse_chat(body)
    asked = wanted.read(chat, key, headers)
    now_s = time.monotonic()
    plan = planner.plan(chat, asked.candidates, now_s=now_s, reason=asked.cold_reason)
    return asked, explain(planner, plan, now_s)
