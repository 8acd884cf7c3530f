"""Receives the rest of a large body straight into its place, past the HTTP parser.

uvicorn's way copies each byte three times: out of the event loop's buffer, out of the parser,
and into one piece. Bounds and timeouts stay the edge's, which is told of each arrival.
"""

import asyncio
from typing import Final, Protocol

from typing_extensions import override
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

REST_BYTES_MIN: Final = 131_072
"""With so much of a body still to come, the detour pays."""

ROOM_BYTES: Final = 262_144
"""What is allocated for who announces much and sends nothing."""

ROOM_FACTOR: Final = 8
"""More is allocated at most so many times what has arrived."""

_ZEROS: Final = bytes(1_048_576)


class Edge(Protocol):
    """The connection's own protocol, as far as it is needed here."""

    transport: asyncio.Transport
    flow: FlowControl

    def body_arrived(self, size: int) -> None:
        """Count bytes of the body."""
        ...

    def body_ended(self) -> None:
        """Be the connection's protocol again: the body is whole."""
        ...

    def eof_received(self) -> bool | None:
        """Hear that the client sends no more."""
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear of the connection's end."""
        ...

    def pause_writing(self) -> None:
        """Hear that the client takes nothing."""
        ...

    def resume_writing(self) -> None:
        """Hear that he does again."""
        ...


async def receive(edge: Edge, cycle: RequestResponseCycle, length: int) -> bytearray:
    """Wait until all of a body is here, or the client is gone; return what came."""
    large = LargeBody(edge, cycle.body, length)
    edge.transport.set_protocol(large)
    try:
        edge.flow.resume_reading()
        while cycle.more_body and not cycle.disconnected:
            cycle.message_event.clear()
            await cycle.message_event.wait()
    finally:
        body = large.take()
    return body


class LargeBody(asyncio.BufferedProtocol):
    """Stands in as a connection's protocol until `length` bytes are there.

    Not a byte more is read: what follows the body stays in the socket for the next protocol.
    """

    def __init__(self, edge: Edge, first: bytearray, length: int) -> None:
        self._edge: Edge | None = edge
        self._length = length
        self._size = len(first)
        self._body = first

    def take(self) -> bytearray:
        """Return what has arrived, and let go of it and of the connection.

        uvloop's transport keeps hold of this object as long as the connection lives.
        """
        body, self._body = self._body, bytearray()
        del body[self._size :]
        self._edge = None
        return body

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes belong."""
        if self._size == len(self._body):
            self._make_room()
        return memoryview(self._body)[self._size :]

    @override
    def buffer_updated(self, nbytes: int) -> None:
        """Note what arrived."""
        assert self._edge is not None
        self._size += nbytes
        self._edge.body_arrived(nbytes)
        if self._size == self._length:
            self._edge.body_ended()

    @override
    def eof_received(self) -> bool | None:
        """Pass it on."""
        return None if self._edge is None else self._edge.eof_received()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        if self._edge is not None:
            self._edge.connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        """Pass it on."""
        if self._edge is not None:
            self._edge.pause_writing()

    @override
    def resume_writing(self) -> None:
        """Pass it on."""
        if self._edge is not None:
            self._edge.resume_writing()

    def _make_room(self) -> None:
        """Lengthen the body in place: moving megabytes is the C library's, which only renames pages."""
        missing = min(self._length, max(ROOM_BYTES, ROOM_FACTOR * self._size)) - self._size
        while missing > 0:
            self._body += memoryview(_ZEROS)[:missing]
            missing -= len(_ZEROS)
