"""One answer as the gateway reads it: head, then pieces, then the end."""

import asyncio
from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import Any

from regulars.config.settings import UpstreamSettings
from regulars.model.errors import UpstreamClosedError, UpstreamTooLargeError
from regulars.upstream.connection import Connection
from regulars.upstream.decoding import Decoder
from regulars.upstream.exchange import BODY, DEAD, DONE, HEAD
from regulars.upstream.head import too_large
from regulars.upstream.route import Route
from regulars.upstream.sink import Sink
from regulars.wire.mend import NO_CODING
from regulars.wire.pieces import Body

_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})


class Response:
    """An answer that is under way; `status` and `headers` are set once `head` returned True.

    One task reads it, any may `nudge`, `cancel` or `close`. Whoever got it closes it. Errors
    come after everything that was received before them. A read that is cancelled from outside
    ends the exchange.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_decoded_bytes",
        "_decoder",
        "_limits",
        "_loop",
        "_route",
        "_started_at",
        "headers",
        "status",
    )

    def __init__(
        self,
        route: Route,
        connection: Connection,
        body: Body,
        *,
        limits: UpstreamSettings,
        loop: asyncio.AbstractEventLoop,
        now: float,
    ) -> None:
        self.status = 0
        self.headers = _NO_HEADERS
        self._route = route
        self._limits = limits
        self._loop = loop
        self._started_at = now
        self._body: Body | None = body
        self._decoder: Decoder | None = None
        self._decoded_bytes = 0
        self._connection: Connection | None = connection
        connection.begin(route.terms, body, now=now)

    async def head(self) -> bool:
        """Wait for status and headers; False when woken by `nudge` before they came.

        Raises:
            UpstreamError: none will come. One that a kept-alive connection lost before any byte
                of an answer is asked for again, once, on a new connection.
        """
        connection = self._live()
        if connection.state == HEAD:
            await self._wait(connection)
            if connection.state == HEAD:
                return False
        if connection.status == 0:
            if connection.reused and connection.lost_unheard:
                await self._send_again(connection)
                return await self.head()
            assert connection.error is not None
            raise connection.error
        self._body = None
        self.status = connection.status
        self.headers = connection.headers
        encoding = self.headers.get(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in NO_CODING:
            self._decoder = self._decoder or Decoder(
                encoding, peer=self._route.terms.peer, piece_bytes=self._limits.buffer_bytes
            )
        return True

    def read(self) -> Coroutine[Any, Any, bytes | None]:
        """Return what is buffered of the body, b"" at its end, None when woken by `nudge`.

        Raises:
            UpstreamError: the rest will not come.
        """
        # Not `async`: one coroutine less per piece.
        if self._decoder is not None:
            return self._read_decoded(self._decoder)
        return self._read_wire()

    def whole(self) -> bytes:
        """Return the body if all of it is here and none was read, else b"": then `read` it."""
        connection = self._connection
        if connection is None or connection.state != DONE or connection.delivered_bytes:
            return b""
        if self._decoder is not None or connection.buffered_bytes > self._limits.body_limit_bytes:
            return b""
        pieces = connection.pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        connection.drained()
        connection.delivered_bytes = len(body)
        return body

    async def pump(self, sink: Sink) -> bool:
        """Give each piece of the body to `sink` as it comes, as long as it takes them.

        Cheaper than `read` by a wake-up a piece: `sink` runs in the connection's own callback.
        True at the end of the body; False when `sink.piece` was, or when woken by `nudge`.

        Raises:
            UpstreamError: the rest will not come.
        """
        connection = self._live()
        if self._decoder is not None:
            return await self._pump_decoded(sink)
        while True:
            if connection.pieces:
                piece = await self._read_wire()
                assert piece
                if not sink.piece(piece):
                    return False
                continue
            if connection.state != BODY:
                return self._nothing(connection) is not None
            connection.sink = sink
            try:
                await self._wait(connection)
            finally:
                connection.sink = None
            if connection.state == BODY and not connection.pieces:
                return False

    @property
    def ended(self) -> bool:
        """Whether all of the body has been read, so that `read` would return b""."""
        connection = self._connection
        whole = connection is not None and connection.state == DONE and not connection.pieces
        return whole and self._decoder is None

    def nudge(self) -> None:
        """Wake a pending `head` or `read` with "nothing yet"; nobody waiting, nothing happens."""
        connection = self._connection
        if connection is not None:
            waiter = connection.waiter
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def cancel(self, error: BaseException) -> None:
        """Abort the exchange; the pending or next `head` or `read` raises `error`."""
        connection = self._connection
        if connection is not None:
            connection.pieces.clear()
            connection.status = 0
            connection.lost_unheard = False
            connection.fail(error)

    def close(self) -> None:
        """End the exchange; the connection is kept if the whole answer has come, else aborted."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            connection.release()

    # --- the steps of the above, in the order they are called

    def _live(self) -> Connection:
        if self._connection is None:
            raise UpstreamClosedError(f"{self._route.terms.peer} was read after close()")
        return self._connection

    async def _wait(self, connection: Connection) -> None:
        waiter = connection.waiter = self._loop.create_future()
        try:
            await waiter
        except BaseException:
            if self._connection is connection:
                self.cancel(UpstreamClosedError(f"reading {self._route.terms.peer} was cancelled"))
            raise
        finally:
            if connection.waiter is waiter:
                connection.waiter = None
        if self._connection is not connection:
            # Closed meanwhile by another task, so the connection may already serve another.
            self._live()

    async def _send_again(self, lost: Connection) -> None:
        assert self._body is not None
        lost.lost_unheard = False
        error = lost.error
        terms = self._route.terms
        connection = await self._route.pool.connect(terms.peer, terms.timeouts.connect_s)
        if self._connection is not lost or lost.error is not error:
            # Closed or cancelled while the new connection was made.
            connection.abort()
            raise self._live().error or UpstreamClosedError(f"{terms.peer} was not asked again")
        self._connection = connection
        connection.begin(terms, self._body, now=self._started_at)

    async def _read_wire(self) -> bytes | None:
        connection = self._connection or self._live()
        pieces = connection.pieces
        if not pieces:
            if connection.state == BODY:
                await self._wait(connection)
            if not pieces:
                return self._nothing(connection)
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        connection.drained()
        connection.delivered_bytes += len(piece)
        if connection.delivered_bytes > self._limits.body_limit_bytes:
            raise self._too_large()
        return piece

    def _nothing(self, connection: Connection) -> bytes | None:
        assert connection.state != HEAD, "read() before head() returned True"
        if connection.state == DEAD:
            assert connection.error is not None
            raise connection.error
        return None if connection.state == BODY else b""

    def _too_large(self) -> UpstreamTooLargeError:
        error = too_large(self._route.terms.peer, "a body", self._limits.body_limit_bytes)
        self.cancel(error)
        return error

    async def _pump_decoded(self, sink: Sink) -> bool:
        while piece := await self.read():
            if not sink.piece(piece):
                return False
        return piece is not None

    async def _read_decoded(self, decoder: Decoder) -> bytes | None:
        # Bounded by the body limits, on the wire and decoded, and by the exchange's timeouts.
        while True:
            piece = decoder.take()
            if piece:
                self._decoded_bytes += len(piece)
                if self._decoded_bytes > self._limits.body_limit_bytes:
                    raise self._too_large()
                return piece
            wire = await self._read_wire()
            if wire is None:
                return None
            if not wire:
                decoder.finish()
                return b""
            decoder.feed(wire)
