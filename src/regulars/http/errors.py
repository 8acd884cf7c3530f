"""The one place where an error becomes a response. Source: openrouter-api.md section 7."""

from math import ceil
from typing import Any

import msgspec

from regulars.http.asgi import Headers, Send
from regulars.model.errors import GatewayError, UpstreamStatusError

JSON = (b"content-type", b"application/json")


def error_body(error: GatewayError) -> bytes:
    """Render OpenRouter's error object."""
    metadata: dict[str, Any] = {"error_type": error.code}
    if isinstance(error, UpstreamStatusError) and error.native_code is not None:
        metadata["provider_code"] = error.native_code
    body: dict[str, Any] = {
        "error": {"code": error.status, "message": error.message, "metadata": metadata}
    }
    if error.routing is not None:
        body["openrouter_metadata"] = msgspec.Raw(error.routing)
    return msgspec.json.encode(body)


def error_headers(error: GatewayError) -> list[tuple[bytes, bytes]]:
    """Return what else the head of an error's answer says."""
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(ceil(error.retry_after_s)).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers


async def send_error(send: Send, error: GatewayError, headers: Headers = ()) -> None:
    """Answer with an error."""
    body = error_body(error)
    head = [
        JSON,
        (b"content-length", str(len(body)).encode()),
        *error_headers(error),
        *headers,
    ]
    if error.status == 405:
        head.append((b"allow", b"POST"))  # chat alone answers here; the router knows its own
    await send({"type": "http.response.start", "status": error.status, "headers": head})
    await send({"type": "http.response.body", "body": body})
