"""The relay's client, played on a connection of the public port.

Answers are written here as whole pieces of bytes: as ASGI messages they took a second system call
and 25 us more a request (measured). What uvicorn notes of a response is noted here in its stead.
"""

from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from regulars.gateway.client import Flow
from regulars.http.server import EdgeProtocol

_WHOLE_HEAD = b"content-type: application/json\r\nx-generation-id: %b\r\ncontent-length: %d\r\n"
_STREAM_HEAD = (
    b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\nx-generation-id: %b\r\n"
)
_Headers = list[tuple[bytes, bytes]]
_LAST_CHUNK = b"0\r\n\r\n"

LARGE_BYTES: Final = 16_384
UNSENT_BYTES_MAX: Final = 262_144
"""With so much unsent, large frames wait. libuv reads up to 32 times in a row, 256 KB each, before it
writes and says that a client is slow: 4 to 8 MB of a fast upstream's answer lay here (measured)."""


class Reply:
    """One response with status 200; errors before it starts are `http/errors.py`'s."""

    __slots__ = ("_chunked", "_connection", "_cycle", "_flow", "_transport", "started")

    def __init__(self, connection: EdgeProtocol, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self._flow = cycle.flow
        self._transport = cycle.transport
        # HTTP/1.0 knows no chunks: there the end of the connection is the end of the body.
        self._chunked = cycle.scope["http_version"] != "1.0"
        self.started = False

    @property
    def gone(self) -> bool:
        """Whether the client left."""
        return self._connection.gone

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have `call` called when the client leaves."""
        self._connection.on_gone = call

    def whole(self, generation_id: str, body: bytes) -> None:
        """Answer with one JSON body."""
        self._start(_WHOLE_HEAD % (generation_id.encode(), len(body)), body)
        self._complete()

    @property
    def direct(self) -> tuple[Callable[[bytes], None], Flow] | None:
        """Where chunks of HTTP go, framing included, once a first frame has been sent."""
        return (self._transport.write, self._flow) if self._chunked else None

    @property
    def is_full(self) -> bool:
        """Whether the client reads more slowly than we write."""
        return self._flow.write_paused and not self._connection.gone

    async def drain(self) -> None:
        """Wait until the client has read, or left."""
        await self._flow.drain()

    def frames(self, generation_id: str, frames: bytes) -> bool:
        """Send frames of a stream, with the head before the first; False when he is slow."""
        framed = b"%x\r\n%b\r\n" % (len(frames), frames) if self._chunked else frames
        if not self.started:
            framing = b"transfer-encoding: chunked\r\n" if self._chunked else b""
            self._start(_STREAM_HEAD % generation_id.encode() + framing, framed)
        elif not self._connection.gone:
            self._transport.write(framed)
        if len(framed) > LARGE_BYTES and self._unsent_bytes > UNSENT_BYTES_MAX:
            return False
        return not self._flow.write_paused

    def end(self, frames: bytes) -> None:
        """Send a started stream's last frames, if any are left, and its end."""
        if not self._connection.gone:
            last = b"%x\r\n%b\r\n" % (len(frames), frames) if frames and self._chunked else frames
            self._transport.write(last + _LAST_CHUNK if self._chunked else last)
        self._complete()

    @property
    def _unsent_bytes(self) -> int:
        return 0 if self._connection.gone else self._transport.get_write_buffer_size()

    def _start(self, head: bytes, rest: bytes) -> None:
        self.started = True
        cycle = self._cycle
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        if self._connection.gone:
            return
        blank = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self._transport.write(b"".join((_first_lines(cycle.default_headers), head, blank, rest)))

    def _complete(self) -> None:
        cycle: Any = self._cycle
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self._transport.close()
        cycle.on_response()


_recent: tuple[_Headers, bytes] = ([], b"")
"""uvicorn's own headers (a new list each second, for the date) and the lines made of them."""


def _first_lines(defaults: _Headers) -> bytes:
    global _recent  # noqa: PLW0603 - a cache of one, the same for all connections
    if _recent[0] is not defaults:
        lines = b"".join([b"%b: %b\r\n" % header for header in defaults])
        _recent = (defaults, STATUS_LINE[200] + lines)
    return _recent[1]
