"""The public port: uvicorn's HTTP protocol plus the bounds it lacks.

uvicorn itself waits for ever for a slow head or body and for a reader that takes nothing, and
reports a client that left only to who asks. Nothing here runs per chunk.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from regulars.config.settings import ServerSettings
from regulars.http.asgi import App, Scope
from regulars.http.errors import error_body
from regulars.http.large_body import REST_BYTES_MIN, receive
from regulars.http.repeated import HeadMemory, RepeatedHead
from regulars.model.errors import (
    CallerError,
    GatewayError,
    HeadersTooLargeError,
    RequestTimeoutError,
)

CONNECTION: Final = "regulars.connection"
"""Where a request's scope holds its connection."""

CYCLE: Final = "regulars.cycle"
"""Where it holds uvicorn's state of this request and its response."""

BODY: Final = "regulars.body"
"""Where it holds the body, if that came in one piece behind a head that is known."""

HOLD_S: Final = 0.1
"""So long a known head waits for its body before it is parsed like any other."""

BODY_BYTES_PER_S_MIN: Final = 65_536
"""A body may take `body_timeout_s` and a second more for each so many bytes."""

FRAMING_BYTES_MAX: Final = 1_048_576
"""What a body may need beyond eight times itself: chunk sizes, their extensions, trailers."""

DROPPED_BYTES_MAX: Final = 50_331_648
"""So much of a body beyond the limit is read and dropped after it was refused: many clients look for
an answer only behind their upload, and a close before that would reset it away."""

PIPELINED_MAX: Final = 1000
"""Requests of one connection that wait for earlier ones; beyond it the connection is cut."""

_FRAMING: Final = (b"content-length", b"transfer-encoding")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_Loop = asyncio.AbstractEventLoop


class EdgeProtocol(HttpToolsProtocol):
    """One client connection. `settings` is set by `edge_protocol`."""

    settings: ServerSettings

    def __init__(
        self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: _Loop | None = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.gone = False
        self.on_gone: Callable[[], None] | None = None
        self._answering: Any = None
        self._head_bytes = 0
        self._body_bytes = 0
        self._wire_bytes = 0
        self._in_head = True
        self._in_body = False
        self._begun = False
        """Whether the parser is inside a message."""
        self._refused = False
        self._upgrading = False
        """The parser takes what follows for another protocol, which nobody speaks here."""
        self._muted_end = False
        self._heads = HeadMemory()
        self._held = b""
        self._pieces: list[bytes] | None = None
        """Of a body that is collected: joined once, where it would be copied as it grows."""
        self._arrival: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._idle_since: float | None = None

    # --- connection

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(self.settings.header_timeout_s)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._expect(None)
        self._clear_stall()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        if self._answering is not None and not self._answering.response_complete:
            # uvicorn tells only the last request that came, which may wait behind this one.
            self._answering.disconnected = True
            self._answering.message_event.set()
        if self.on_gone is not None:
            call, self.on_gone = self.on_gone, None
            call()

    # --- what the client sends

    @override
    def data_received(self, data: bytes) -> None:
        repeated = self._heads.known
        if (
            repeated is not None
            and not self._begun
            and (self._idle_since is not None or self._held)
        ):
            if self._held:
                data, self._held = self._held + data, b""
                self._expect(None)
            body = repeated.body(data)
            if body is not None and len(body) <= self.settings.body_limit_bytes:
                self._repeat(repeated, body)
                return
            if repeated.is_alone(data):
                self._hold(data)
                return
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        first = not self._begun
        if self._in_head:
            self._head_bytes += len(data)
        self._feed(data)
        if self._heads.lessons:
            scope = None if self._begun else cast("Scope", self.scope)
            self._heads.came(data, scope, first=first)
        if self._in_head:
            if self._head_bytes > self.settings.header_limit_bytes:
                self._refuse(self._head_too_large())
            elif self._head_bytes and self._arrival is None:
                self._expect(self.settings.header_timeout_s)
        elif self._in_body:
            self._wire_bytes += len(data)
            if self._wire_bytes > 8 * self._body_bytes + FRAMING_BYTES_MAX:
                self._refuse(CallerError("request: its body is nearly all framing"))
            elif self.cycle.response_complete and self._body_bytes > (
                self.settings.body_limit_bytes + DROPPED_BYTES_MAX
            ):
                self.transport.close()  # was told 413 long ago, and goes on
            elif self._arrival is None:
                self._expect(self.settings.body_timeout_s)

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as exc:
            if self._upgrading:
                self._go_on(data[exc.args[0] :])
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _go_on(self, rest: bytes) -> None:
        """Read the body of a request that offers another protocol, h2c as Java's client does.

        The parser took the offer and stopped behind the head; another one is told how long the
        body is, and nothing else.
        """
        framing = [
            b"%b: %b\r\n" % header for header in self.scope["headers"] if header[0] in _FRAMING
        ]
        self.parser = _parser(self)
        self._muted_end = False
        self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
        self._upgrading = False
        if self._muted_end:
            self.on_message_complete()
        if rest:
            self._feed(rest)

    def repeats(self, scope: Scope, app: App) -> None:
        """Have requests with the same head served by `app` from now on: the scope says all they say."""
        self._heads.served(scope, app)

    def _hold(self, head: bytes) -> None:
        """Wait a moment for the body of a head that is known: many clients send it apart."""
        self._held = head
        self._idle_since = None
        self._expect(HOLD_S)

    def _repeat(self, repeated: RepeatedHead, body: bytes) -> None:
        """Start to answer a request whose head is known, as `on_headers_complete` would."""
        self._idle_since = None
        scope = repeated.scope
        cycle = self.cycle = self._answering = RequestResponseCycle(
            scope=scope,  # type: ignore[arg-type]
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        scope[CONNECTION], scope[CYCLE], scope[BODY] = self, cycle, body
        self._start_asgi_task(cycle, repeated.app)  # type: ignore[arg-type]

    @override
    def on_message_begin(self) -> None:
        if self._upgrading:
            return
        self._in_head = self._begun = True
        self._heads.forget()
        super().on_message_begin()

    @override
    def on_url(self, url: bytes) -> None:
        if not self._upgrading:
            super().on_url(url)

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._upgrading:
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        if self._upgrading:
            return
        self._body_bytes = 0
        self._wire_bytes = 0
        self._expect(None)
        if self._refused:
            return
        if len(self.pipeline) >= PIPELINED_MAX:
            self._refused = True
            self.transport.close()
            return
        if self._head_bytes > self.settings.header_limit_bytes and self._head_size() > (
            self.settings.header_limit_bytes
        ):
            self._refuse(self._head_too_large())
            return
        self._head_bytes = 0
        super().on_headers_complete()
        self._upgrading = self.parser.should_upgrade() and self.scope["method"] != "CONNECT"
        self._in_head = False
        self._in_body = True
        # With pipelining `self.cycle` runs ahead of the one that is being answered.
        self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]
        self.scope[CYCLE] = self.cycle  # type: ignore[typeddict-unknown-key]
        if not self.pipeline:
            self._answering = self.cycle
        # Trailers are collected like headers: apart, so that none passes for one.
        self.headers = []

    @override
    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._refused:
            return
        if self._pieces is None:
            super().on_body(body)
            return
        self._pieces.append(body)
        if self._body_bytes > self.settings.body_limit_bytes:
            self.cycle.message_event.set()

    async def collect_body(
        self, cycle: RequestResponseCycle, length: int | None
    ) -> bytes | bytearray:
        """Wait until all of a request's body is here, it is too large, or he is gone; return it.

        For whoever wants it whole: uvicorn wakes its reader and copies at every 64 KiB.
        `length` is how long it will be, None where only its end will tell.
        """
        if cycle.waiting_for_100_continue and not self.transport.is_closing():
            cycle.waiting_for_100_continue = False
            self.transport.write(_CONTINUE)
        if length is not None and length - len(cycle.body) >= REST_BYTES_MIN:
            return await receive(self, cycle, length)
        pieces = self._pieces = [bytes(cycle.body)]
        try:
            self.flow.resume_reading()
            while (
                cycle.more_body
                and not cycle.disconnected
                and self._body_bytes <= self.settings.body_limit_bytes
            ):
                cycle.message_event.clear()
                await cycle.message_event.wait()
        finally:
            self._pieces = None
        return b"".join(pieces)

    def body_arrived(self, size: int) -> None:
        """Count what came of the body past `data_received`."""
        self._body_bytes += size
        if self._arrival is None:
            self._expect(self.settings.body_timeout_s)

    def body_ended(self) -> None:
        """Go on with what stands behind a body that came past `data_received`."""
        self.transport.set_protocol(self)
        self.parser = _parser(self)  # the one before would take the next request for this body
        self._heads.skip()
        self.on_message_complete()

    @override
    def on_message_complete(self) -> None:
        if self._upgrading:
            self._muted_end = True
            return
        self._pieces = None  # what comes next is another request's
        self._in_body = self._begun = False
        self._in_head = True
        self._expect(None)
        if self._refused:
            return
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest()  # answered before its body was here

    @override
    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._answering = cycle
            self._start_asgi_task(cycle, app)
        else:
            self._rest()
        # While others wait their turn nothing is read: who pipelines on would fill the memory.
        if not self.pipeline:
            self.flow.resume_reading()
        if not self.pipeline and self._in_body and self.expect_100_continue:
            # He may send the body or leave it out: what comes next could be either.
            self.transport.close()

    @override
    def send_400_response(self, msg: str) -> None:
        self._refuse(CallerError("request: is not valid HTTP/1.1"))

    # --- what the client takes

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(
                self.settings.write_stall_timeout_s, self.transport.abort
            )

    @override
    def resume_writing(self) -> None:
        self._clear_stall()
        super().resume_writing()

    # --- keep-alive

    def _rest(self) -> None:
        """Begin to wait for the next request.

        One timer a connection that looks when it rings, where uvicorn starts and cancels one a
        request.
        """
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._ring_in(self.timeout_keep_alive)

    def _ring_in(self, delay_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            delay_s, self.timeout_keep_alive_handler
        )

    @override
    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    @override
    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # busy; the answer begins the wait anew
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._ring_in(left_s)
        elif not self.transport.is_closing():
            self.transport.close()

    # --- bounds

    def _expect(self, within_s: float | None) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None
        if within_s is not None:
            self._arrival = self.loop.call_later(within_s, self._late, within_s)

    def _late(self, waited_s: float) -> None:
        self._arrival = None
        if self._held:
            head, self._held = self._held, b""
            self._parse(head)  # which begins the body's own time
            return
        if self._waits_its_turn():
            self._expect(waited_s)  # reading may be paused, and the answer before is not at fault
            return
        if self._in_body:
            allowed_s = self.settings.body_timeout_s + self._body_bytes / BODY_BYTES_PER_S_MIN
            if allowed_s > waited_s:
                rest_s = allowed_s - waited_s
                self._arrival = self.loop.call_later(rest_s, self._late, allowed_s)
                return
            what = f"body did not arrive within {waited_s:.3g} s"
        elif not self._head_bytes:
            self.transport.close()  # connected and said nothing
            return
        else:
            what = f"head did not arrive within {waited_s:.3g} s"
        self._refuse(RequestTimeoutError(f"request: {what}; send it faster"))

    def _refuse(self, error: GatewayError) -> None:
        """Answer an error that comes before or instead of the application, and close."""
        self._refused = True
        if self.transport.is_closing():
            return
        answered = self._in_body and self.cycle.response_started
        if not answered and not self._waits_its_turn():
            body = error_body(error)
            self.transport.write(
                STATUS_LINE[error.status]
                + b"content-type: application/json\r\nconnection: close\r\n"
                + b"content-length: %d\r\n\r\n" % len(body)
                + body
            )
        self.transport.close()

    def _waits_its_turn(self) -> bool:
        """Whether what is arriving stands behind a request that is not answered yet."""
        if self._in_body:
            return bool(self.pipeline)
        # uvicorn leaves `cycle` None until the first request's head is whole.
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _head_too_large(self) -> HeadersTooLargeError:
        limit = self.settings.header_limit_bytes
        return HeadersTooLargeError(f"request: its head is over {limit} bytes; send less of it")

    def _head_size(self) -> int:
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        return len(self.url) + fields

    def _clear_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def _parser(of: EdgeProtocol) -> HttpRequestParser:
    """Make a parser as uvicorn does."""
    parser = HttpRequestParser(of)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def leave_connection(
    scope: MutableMapping[str, Any],
) -> tuple[EdgeProtocol, RequestResponseCycle]:
    """Take the connection out of a scope that needs it no more, or it is a garbage cycle."""
    return scope.pop(CONNECTION), scope.pop(CYCLE)


def edge_protocol(settings: ServerSettings) -> type[EdgeProtocol]:
    """Make the protocol class for uvicorn's `http` option."""
    return type("ConfiguredEdgeProtocol", (EdgeProtocol,), {"settings": settings})
