"""The relay's client, played over ASGI."""

from collections.abc import Callable

from regulars.http.asgi import Send
from regulars.http.errors import JSON
from regulars.http.server import EdgeProtocol

GENERATION_ID = b"x-generation-id"

_STREAM_HEAD = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Reply:
    """One response. uvicorn's `send` waits while the client reads slowly."""

    __slots__ = ("_connection", "_send", "started")

    def __init__(self, connection: EdgeProtocol, send: Send) -> None:
        self._connection = connection
        self._send = send
        self.started = False

    @property
    def gone(self) -> bool:
        """Whether the client left."""
        return self._connection.gone

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have `call` called when the client leaves."""
        self._connection.on_gone = call

    async def whole(self, generation_id: str, body: bytes) -> None:
        """Answer 200 with one JSON body."""
        self.started = True
        head = [
            JSON,
            (b"content-length", str(len(body)).encode()),
            (GENERATION_ID, generation_id.encode()),
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": head})
        await self._send({"type": "http.response.body", "body": body})

    async def frames(self, generation_id: str, frames: bytes) -> None:
        """Send frames of a stream, with the head before the first."""
        if not self.started:
            self.started = True
            head = [*_STREAM_HEAD, (GENERATION_ID, generation_id.encode())]
            await self._send({"type": "http.response.start", "status": 200, "headers": head})
        await self._send({"type": "http.response.body", "body": frames, "more_body": True})

    async def end(self, frames: bytes) -> None:
        """Send the last frames."""
        await self._send({"type": "http.response.body", "body": frames})
