"""Reads a request's body within its bounds."""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeVar

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from regulars.gateway.client import ClientGoneError
from regulars.http.asgi import Message, Receive, Send
from regulars.http.server import DROPPED_BYTES_MAX, EdgeProtocol
from regulars.model.errors import CallerError, PayloadTooLargeError, UnsupportedMediaError
from regulars.wire.mend import NO_CODING

SMALL_BODY_BYTES_MAX: Final = 65_536
LINGER_S: Final = 2.0
"""So long a connection that is not kept stays open for more of a body that was refused."""

_Headers = Mapping[bytes, bytes]
_Bytes = TypeVar("_Bytes", bytes, bytes | bytearray)


async def take_body(
    connection: EdgeProtocol, cycle: RequestResponseCycle, headers: _Headers, limit_bytes: int
) -> bytes | bytearray:
    """Return the whole body from where it lies: no ASGI message is made of it.

    How long it may take is `http/server.py`'s business.

    Raises:
        PayloadTooLargeError: over the limit, told as early as the headers show it.
        UnsupportedMediaError: a compressed body.
        ClientGoneError: the client left before it was whole.
    """
    _check_head(headers, limit_bytes)
    if cycle.more_body:
        body = await connection.collect_body(cycle, _length(headers))
    else:
        body = bytes(cycle.body)
    if cycle.disconnected:
        raise ClientGoneError
    if len(body) > limit_bytes:
        raise _too_large(limit_bytes)
    cycle.body = bytearray()
    connection.flow.resume_reading()
    return _some(body)


async def read_body(receive: Receive, headers: _Headers, limit_bytes: int) -> bytes:
    """Return the whole body from ASGI messages; raises as `take_body` does."""
    _check_head(headers, limit_bytes)
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
        pieces.append(piece)
        if not message["more_body"]:
            return _some(b"".join(pieces))


def behind_body(send: Send, connection: EdgeProtocol, cycle: RequestResponseCycle) -> Send:
    """Return a `send` for an answer that may come before the request's body is here.

    Where the connection ends with the answer it is closed only behind the body: the rest of that,
    unread, would reset the connection, and nginx before us say 502 in place of the answer.
    """
    waits = cycle.waiting_for_100_continue  # and sends no body now
    if cycle.keep_alive or waits or not cycle.more_body or cycle.disconnected:
        return send

    async def sending(message: Message) -> None:
        ends = message["type"] == "http.response.body" and not message.get("more_body")
        if ends and cycle.more_body:
            await send({**message, "more_body": True})
            await _drop(connection, cycle)
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return sending


async def _drop(connection: EdgeProtocol, cycle: RequestResponseCycle) -> None:
    dropped = 0
    while cycle.more_body and not cycle.disconnected and dropped <= DROPPED_BYTES_MAX:
        dropped += len(cycle.body)
        cycle.body = bytearray()
        cycle.message_event.clear()
        connection.flow.resume_reading()
        try:
            async with asyncio.timeout(LINGER_S):
                await cycle.message_event.wait()
        except TimeoutError:
            return


def _check_head(headers: _Headers, limit_bytes: int) -> None:
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in NO_CODING:
        raise UnsupportedMediaError(
            f"content-encoding: {encoding.decode('latin-1')[:40]!r} is not read here; "
            "send the body uncompressed"
        )
    length = headers.get(b"content-length")
    if length is not None and (not length.isdigit() or int(length) > limit_bytes):
        raise _too_large(limit_bytes)


def _length(headers: _Headers) -> int | None:
    """Return how long a body will be whose head was checked."""
    length = headers.get(b"content-length")
    return None if length is None or b"transfer-encoding" in headers else int(length)


def _some(body: _Bytes) -> _Bytes:
    if not body:
        raise CallerError('body: is empty; send {"model": …, "messages": […]}')
    return body


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
