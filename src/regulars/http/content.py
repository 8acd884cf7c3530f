"""GET /generation/content: what was said in one generation, where it was kept."""

from typing import Any

from msgspec import Raw
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_response
from regulars.http.generations import ID_PARAMS, own_generation
from regulars.model.caller import ApiKey
from regulars.model.errors import NotFoundError
from regulars.model.generation import Generation, Outcome
from regulars.stores.contents import Content

Json = dict[str, Any]


def get_content(api: Api) -> Handler:
    """`GET /generation/content?id=`: any key of the account; inference keys see only their own."""

    async def handle(request: Request, key: ApiKey) -> Response:
        query.only(request.query_params, ID_PARAMS)
        row = await run_in_threadpool(own_generation, api, request, key)
        content = await run_in_threadpool(api.contents.content, row.id)
        if content is None:
            raise NotFoundError(
                f"nothing that was said in generation {row.id!r} is kept: it was not sampled, or "
                "is over; content_share of its key and [content] say what is kept"
            )
        return json_response({"data": _view(row, content)})

    return handle


def _view(row: Generation, content: Content) -> Json:
    return {
        "input": _input(content),
        "output": {"completion": content.completion, "reasoning": content.reasoning},
        "error": _error(row),
        "truncated": {"input": content.input_cut, "output": content.output_cut},
    }


def _input(content: Content) -> Json:
    """Write the messages as the client sent them; cut ones are text."""
    if content.input_cut:
        return {"prompt": content.input}
    return {"messages": Raw(content.input.encode())}


def _error(row: Generation) -> Json | None:
    if row.outcome is Outcome.COMPLETED:
        return None
    return {
        "message": row.error,
        "status": row.status,
        "provider_name": row.provider,
        "raw": None,
        "previous_errors": [
            {
                "code": attempt.status or 0,
                "message": attempt.error,
                "provider_name": attempt.provider,
                "raw": None,
            }
            for attempt in row.attempts[:-1]
            if attempt.error is not None
        ],
    }
