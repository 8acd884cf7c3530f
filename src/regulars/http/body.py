"""Reads a request's body within its bounds."""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from regulars.gateway.client import ClientGoneError
from regulars.http.asgi import Receive
from regulars.model.errors import CallerError, PayloadTooLargeError, UnsupportedMediaError

SMALL_BODY_BYTES_MAX: Final = 65_536


async def read_body(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    limit_bytes: int,
    cycle: RequestResponseCycle | None = None,
) -> bytes:
    """Return the whole body. How long it may take is `http/server.py`'s business.

    `cycle` is uvicorn's state of the request, by which a body that is all here is taken at once.

    Raises:
        PayloadTooLargeError: over the limit, told as early as the headers show it.
        UnsupportedMediaError: a compressed body.
        ClientGoneError: the client left before it was whole.
    """
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() != b"identity":
        raise UnsupportedMediaError(
            f"content-encoding: {encoding.decode('latin-1')[:40]!r} is not read here; "
            "send the body uncompressed"
        )
    length = headers.get(b"content-length")
    if length is not None and (not length.isdigit() or int(length) > limit_bytes):
        raise _too_large(limit_bytes)
    if cycle is not None and not cycle.more_body and not cycle.disconnected:
        # All here already, as it is with nearly every request: no message is made of it.
        body = bytes(cycle.body)
        cycle.body = bytearray()
        cycle.flow.resume_reading()
        if len(body) > limit_bytes:
            raise _too_large(limit_bytes)
    else:
        body = await _receive(receive, limit_bytes)
    if not body:
        raise CallerError('body: is empty; send {"model": …, "messages": […]}')
    return body


async def _receive(receive: Receive, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        piece: bytes = message["body"]
        size += len(piece)
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        if not message["more_body"]:
            break
        pieces.append(piece)
    return b"".join((*pieces, piece)) if pieces else piece


def _too_large(limit_bytes: int) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"body: is over {limit_bytes} bytes, the limit here ([server] body_limit_bytes)"
    )


async def read_small_body(request: Request) -> bytes:
    """Read the body of a question to the API. Raises PayloadTooLargeError."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > SMALL_BODY_BYTES_MAX:
            raise PayloadTooLargeError(
                f"body: is over {SMALL_BODY_BYTES_MAX} bytes, the limit here"
            )
    return body
