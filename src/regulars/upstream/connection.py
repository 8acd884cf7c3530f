"""One connection to an origin: bytes in, answer out, one exchange after another.

Everything here runs once per piece of every stream, so it stores and compares numbers, and no
more: no task, no timer and no future per piece. What reads the answer is `response.py`.
"""

import asyncio
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from regulars.config.settings import UpstreamSettings
from regulars.model.errors import (
    UpstreamClosedError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
)
from regulars.upstream.deadline import deadline
from regulars.upstream.exchange import BODY, DEAD, DONE, HEAD, IDLE, Terms
from regulars.upstream.head import body_ends_with_connection, too_large
from regulars.upstream.large_request import Batch, batches
from regulars.upstream.sink import Sink
from regulars.wire.pieces import Body, body_bytes

SMALL_BYTES: Final = 131_072
"""A request up to this is written in one piece, head and body joined."""


class Keeper(Protocol):
    """The pool, as its connections see it."""

    def keep(self, connection: "Connection") -> None:
        """Take back a connection that is fit for another exchange."""
        ...

    def forget(self, connection: "Connection") -> None:
        """Stop counting a connection that is gone."""
        ...


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection; `pieces` is the part of the body nobody has read yet.

    One timer serves all deadlines of its life: it fires every `tick_s` and looks at stored
    times, so a request and a piece arm nothing.
    """

    # Reached by response.py, in the hot path: attributes, not properties.
    __slots__ = (
        "_between_chunks",
        "_chunk_ended",
        "_heard_at",
        "_keep",
        "_keeper",
        "_limits",
        "_loop",
        "_parser",
        "_reading_paused",
        "_started_at",
        "_terms",
        "_timer",
        "_timer_at",
        "_transport",
        "_unsent",
        "_until_close",
        "_writing_paused",
        "buffered_bytes",
        "delivered_bytes",
        "error",
        "headers",
        "idle_since",
        "lost_unheard",
        "on_body",
        "pieces",
        "reused",
        "sink",
        "state",
        "status",
        "waiter",
    )

    def __init__(self, keeper: Keeper, limits: UpstreamSettings) -> None:
        self._keeper = keeper
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        self._terms: Terms | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._started_at = 0.0
        self._heard_at = 0.0
        self._keep = False
        self._until_close = False
        self._reading_paused = False
        self._writing_paused = False
        self._unsent: list[Batch] | None = None
        self.state = IDLE
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []
        # The parser calls the list itself: no Python frame per piece.
        self.on_body = self.pieces.append
        self.buffered_bytes = 0
        self.delivered_bytes = 0
        self.error: BaseException | None = None
        self.waiter: asyncio.Future[None] | None = None
        self.sink: Sink | None = None
        self._between_chunks = False
        self._chunk_ended = False
        self.idle_since = 0.0
        self.reused = False
        self.lost_unheard = False

    # --- for the pool and the response

    @property
    def usable(self) -> bool:
        """Whether the transport still takes requests."""
        return self._transport is not None and not self._transport.is_closing()

    def begin(self, terms: Terms, body: Body, *, now: float) -> None:
        """Send a request; deadlines count from `now`."""
        assert self._transport is not None
        assert self.state == IDLE
        self.state = HEAD
        self._terms = terms
        self._started_at = now
        self._heard_at = now
        self._keep = False
        self.status = 0
        self.lost_unheard = False
        self.buffered_bytes = 0
        self.delivered_bytes = 0
        self._between_chunks = self._chunk_ended = False
        self.error = None
        if self._timer is None or now + terms.tick_s < self._timer_at:
            self._arm(now + terms.tick_s)
        if isinstance(body, bytes) and len(body) <= SMALL_BYTES:
            self._transport.write(b"%b%d\r\n\r\n%b" % (terms.head, len(body), body))
        else:
            self._unsent = batches(b"%b%d\r\n\r\n" % (terms.head, body_bytes(body)), body)
            self._write_on()

    def drained(self) -> None:
        """Say that `pieces` was emptied: lets a paused upstream go on."""
        self.buffered_bytes = 0
        if self._reading_paused:
            self._reading_paused = False
            # The silence so far was our doing.
            self._heard_at = self._loop.time()
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    def release(self) -> None:
        """End the exchange: back to the pool if nothing of it is left on the wire, else abort."""
        self.pieces.clear()
        self._wake()
        # An error that was raised holds frames, and these hold us.
        self.error = None
        transport = self._transport
        if (
            self.state == DONE
            and self._keep
            and transport is not None
            and not transport.is_closing()
            and self._unsent is None
            and not transport.get_write_buffer_size()
        ):
            self.state = IDLE
            self.idle_since = self._loop.time()
            self._keeper.keep(self)
        else:
            self.abort()

    def fail(self, error: BaseException, cause: BaseException | None = None) -> None:
        """End the exchange with an error for whoever reads; what was received stays readable."""
        if cause is not None:
            error.__cause__ = cause
        self.error = error
        self.state = DEAD
        self.abort()
        self._wake()

    def stop(self) -> None:
        """Cut the connection because the gateway ends; an exchange under way fails."""
        if self.state in {HEAD, BODY}:
            self.fail(UpstreamClosedError(f"{self._peer} was cut off: the gateway is stopping"))
        else:
            self.abort()

    def abort(self) -> None:
        """Cut the connection at once; an answer that is whole can still be read."""
        if self.state != DONE:
            self.state = DEAD
        self._between_chunks = False
        self._unsent = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None and not self._loop.is_closed():
            self._transport.abort()

    # --- called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to listen."""
        # uvloop's transports have the methods of asyncio.Transport but not its type.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Parse; wake the reader when there is something to read."""
        sink = self.sink
        # A chunk that the sink takes whole leaves the parser where it is: before the next one.
        if sink is not None and self._between_chunks and sink.chunk(data):
            self._heard_at = self._loop.time()
            self.delivered_bytes += len(data)
            if self.delivered_bytes > self._limits.body_limit_bytes:
                self._between_chunks = False  # the next is parsed, and found to be too much
            return
        if self._parser is None or not HEAD <= self.state <= DONE:
            # Nothing was asked, so whatever this is, the next answer would be mistaken for it.
            self.abort()
            return
        self._heard_at = self._loop.time()
        self.buffered_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            self._parse_failed(exc)
            return
        # Whatever was parsed last: half a chunk's size does not end a line.
        self._between_chunks = self._chunk_ended and data.endswith(b"\r\n")
        if self.state == BODY:
            if self.pieces:
                if sink is not None and self._pour(sink):
                    return
                waiter = self.waiter
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)
                if self.buffered_bytes > self._limits.buffer_bytes and not self._reading_paused:
                    self._pause()
            elif self.buffered_bytes > self._limits.header_limit_bytes:
                # Chunk extensions and trailers, without end.
                self._too_large("framing without a body", self._limits.header_limit_bytes)
        elif self.state == HEAD and self.buffered_bytes > self._limits.header_limit_bytes:
            self._too_large("a response head", self._limits.header_limit_bytes)

    def _pour(self, sink: Sink) -> bool:
        """Give what has come to the sink; False when the reader has to be woken."""
        pieces = self.pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.buffered_bytes = 0
        self.delivered_bytes += len(piece)
        if self.delivered_bytes > self._limits.body_limit_bytes:
            self._too_large("a body", self._limits.body_limit_bytes)
            return True
        try:
            goes_on = sink.piece(piece)
        except Exception as exc:  # noqa: BLE001 - the loop would swallow it; the reader must not
            self.fail(exc)
            return True
        if not goes_on:
            # What else is read before the reader wakes waits here, within `buffer_bytes`.
            self.sink = None
        return goes_on

    def eof_received(self) -> None:
        """Take an end of input as the end of the connection."""
        self._input_ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell reader and pool that the connection is gone."""
        self._input_ended(exc)
        self.abort()
        # The parser holds bound methods of ours: cut the cycle.
        self._parser = None
        self._keeper.forget(self)

    def pause_writing(self) -> None:
        """Hold back the rest of a large request."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Go on with a large request."""
        self._writing_paused = False
        if self._unsent is not None:
            self._write_on()

    # --- called by the parser

    def on_message_begin(self) -> None:
        """Refuse an answer nobody asked for: it sticks to the end of the one that was."""
        if self.state != HEAD:
            raise _StopParsing
        self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header; trailers are dropped."""
        if self.state != HEAD:
            return
        name = name.lower()
        if name in self.headers:
            value = b"%b, %b" % (self.headers[name], value)
        self.headers[name] = value

    def on_headers_complete(self) -> None:
        """Check what the head promises and let the reader have it; 1xx are passed over."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        try:
            self._until_close = body_ends_with_connection(
                status,
                self.headers,
                peer=self._peer,
                seen_bytes=self.buffered_bytes,
                limits=self._limits,
            )
        except UpstreamError as exc:
            self.fail(exc)
            raise _StopParsing from None
        self.status = status
        self._keep = self._parser.should_keep_alive()
        self.state = BODY
        self._wake()

    def on_chunk_header(self) -> None:
        """Note that a chunk has begun."""
        self._chunk_ended = False

    def on_chunk_complete(self) -> None:
        """Note that a chunk has ended."""
        self._chunk_ended = True

    def on_message_complete(self) -> None:
        """Note the end of the answer."""
        self._chunk_ended = False
        if self.state == BODY:
            self.state = DONE
            self._wake()

    # --- the steps of the above, in the order they are called

    def _too_large(self, what: str, limit_bytes: int) -> None:
        self.fail(too_large(self._peer, what, limit_bytes))

    def _parse_failed(self, exc: HttpParserError | HttpParserUpgrade) -> None:
        if self.state == DONE:
            # The answer itself is whole; what follows it spoils only the connection.
            self._keep = False
        elif self.state != DEAD:
            self.fail(
                UpstreamProtocolError(f"{self._peer} sent something that is not HTTP/1.1: {exc}"),
                exc,
            )

    def _pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _input_ended(self, exc: Exception | None) -> None:
        self._keep = False
        if self.state == BODY and self._until_close and exc is None:
            self.state = DONE
            self._wake()
        elif self.state in {HEAD, BODY}:
            self.lost_unheard = self.state == HEAD and not self.buffered_bytes
            when = "before it answered" if self.state == HEAD else "before its answer ended"
            self.fail(UpstreamClosedError(f"{self._peer} closed the connection {when}"), exc)

    def _write_on(self) -> None:
        """Hand over batches until the transport has enough; `resume_writing` calls again."""
        assert self._transport is not None
        while self._unsent is not None and not self._writing_paused:
            batch = self._unsent.pop()
            if not self._unsent:
                self._unsent = None
            self._transport.writelines(batch)

    def _wake(self) -> None:
        waiter = self.waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- time

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._tick)

    def _tick(self) -> None:
        assert self._terms is not None
        self._timer = None
        now = self._loop.time()
        if self.state == IDLE:
            at = self.idle_since + self._limits.idle_connection_s
            if now >= at:
                self.abort()
                return
        elif self.state in {HEAD, BODY}:
            nearest = deadline(
                self._terms.timeouts,
                started_at=self._started_at,
                heard_at=self._heard_at,
                has_body=self.state == BODY and bool(self.pieces or self.delivered_bytes),
                paused=self._reading_paused,
            )
            if now >= nearest.at:
                waited = f"{nearest.waited_for} within {nearest.seconds:g} s"
                self.fail(UpstreamTimeoutError(f"{self._peer} sent no {waited}"))
                return
            at = nearest.at
        else:
            at = now + self._terms.tick_s
        # Never later than a tick: a deadline that begins until then is seen in time.
        self._arm(min(at, now + self._terms.tick_s))

    @property
    def _peer(self) -> str:
        return self._terms.peer if self._terms is not None else "the upstream"


class _StopParsing(Exception):  # noqa: N818 - not an error: it only makes the parser return
    """Leave the parser from inside a callback."""
