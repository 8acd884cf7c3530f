"""A provider on a real socket that does what a script says: the base of most tests.

    with ScriptedProvider() as provider:
        provider.enqueue(Script(status=503))
        ...  # call provider.url
        assert provider.requests[0].json["model"] == "tiny"

Requests that find no script get a valid answer. It runs in a thread with a loop of its own, so
that tests need not be async.
"""

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import struct
import threading
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

from fakes.provider_answers import ChatAnswer, PrefixCache
from fakes.provider_script import Framing, Script, error_script

__all__ = ["ReceivedRequest", "Script", "ScriptedProvider", "error_script"]

WAIT_S = 10.0
"""No test waits longer for the provider to notice something."""

CLOSING_ROUNDS = 10

EARLY_LINGER_S = 0.3
"""How long a connection that was answered early stays open before it is closed."""

GLANCE_S = 0.02
"""How often a pause looks whether the client is still there."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived; header names are lower-case, connections count from 1."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int

    @property
    def json(self) -> dict[str, Any]:
        """The body, parsed."""
        return json.loads(self.body)


class ScriptedProvider:
    """An HTTP/1.1 server that plays scripts, first come first served."""

    def __init__(
        self,
        *,
        default: Script | None = None,
        cache_ttl_s: float = 300.0,
        models: tuple[str, ...] = ("tiny",),
        tls: ssl.SSLContext | None = None,
        host_name: str = "127.0.0.1",
    ) -> None:
        self.default = default or Script()
        self.models = models
        self.requests: list[ReceivedRequest] = []
        self.abandoned: list[ReceivedRequest] = []
        """Requests whose answer the client did not wait for."""
        self.connections = 0
        """How many connections were ever accepted."""
        self.port = 0
        self._cache = PrefixCache(cache_ttl_s)
        self._tls = tls
        self._host_name = host_name
        self._scripts: deque[Script] = deque()
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="scripted provider", daemon=True)
        self._stop = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    # --- for tests

    @property
    def url(self) -> str:
        """The base URL a gateway is given."""
        return f"{'https' if self._tls else 'http'}://{self._host_name}:{self.port}/v1"

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    def enqueue(self, *scripts: Script) -> None:
        """Play these for the next requests, one each."""
        self._scripts.extend(scripts)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something about `requests`, `abandoned` or the connections holds."""
        with self._changed:
            if not self._changed.wait_for(condition, WAIT_S):
                raise TimeoutError(f"not so within {WAIT_S} s; requests: {self.requests!r}")

    def close_connections(self) -> None:
        """Close every open connection, idle ones included, and wait for that."""
        self._loop.call_soon_threadsafe(self._cancel_all)
        self.wait_until(lambda: not self._open)

    def stop_listening(self) -> None:
        """Refuse new connections from now on; open ones go on."""
        server = self._server
        assert server is not None
        self._loop.call_soon_threadsafe(lambda: self._note(server.close))
        self.wait_until(lambda: not server.is_serving())

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_until(lambda: self.port > 0)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)

    # --- in the server's thread

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self._server = server
        self._note(lambda: setattr(self, "port", server.sockets[0].getsockname()[1]))
        await self._stop.wait()
        # asyncio loses a connection it accepted in the round before close(), so accepting ends
        # first. One just accepted needs a few rounds to appear, an aborted one to be closed.
        for listener in server.sockets:
            self._loop.remove_reader(listener.fileno())
        for _ in range(CLOSING_ROUNDS):
            self._cancel_all()
            await asyncio.sleep(0)
        server.close()

    def _cancel_all(self) -> None:
        for task in self._open.values():
            task.cancel()

    def _note(self, change: Callable[[], object]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._note(lambda: setattr(self, "connections", self.connections + 1))
        connection = _Connection(reader, writer, self.connections)
        task = self._loop.create_task(self._converse(connection, writer))
        self._note(lambda: self._open.update({writer: task}))
        # Not at the end of the task: one that is cancelled early never begins.
        task.add_done_callback(lambda _: self._end(writer))

    def _end(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        self._note(lambda: self._open.pop(writer))

    async def _converse(self, connection: "_Connection", writer: asyncio.StreamWriter) -> None:
        # The client may leave at any point; that just ends the connection.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await self._answer_one(connection):
                pass
            writer.close()
            await writer.wait_closed()

    async def _answer_one(self, connection: "_Connection") -> bool:
        """Read a request and play its script; False when the connection is over."""
        method, path, headers = await connection.read_head()
        script = self._scripts.popleft() if self._scripts else self.default
        body = b"" if script.answer_early else await connection.read_body(headers)
        request = ReceivedRequest(method, path, headers, body, connection.number)
        self._note(lambda: self.requests.append(request))
        try:
            await self._play(script, request, connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            self._note(lambda: self.abandoned.append(request))
            raise
        if script.answer_early:
            await asyncio.sleep(EARLY_LINGER_S)
            return False
        return script.keep_alive and not script.close_quietly and not connection.cut

    async def _play(
        self, script: Script, request: ReceivedRequest, connection: "_Connection"
    ) -> None:
        connection.begin(script)
        await connection.pause(script.head_delay_s)
        if script.raw is not None:
            await connection.write(script.raw)
            connection.cut = True
            await connection.finish_output()
            return
        pieces, streamed = self._body(script, request)
        framing = script.framing or ("chunked" if streamed or script.endless else "length")
        whole = b"".join([piece async for piece in pieces]) if framing == "length" else b""
        await connection.write(script.interim + _head(script, streamed, framing, len(whole)))
        await connection.pause(script.body_delay_s)
        if framing == "length":
            await connection.write(whole)
            return
        async for piece in pieces:
            connection.check_client()
            framed = b"%x\r\n%b\r\n" % (len(piece), piece) if framing == "chunked" else piece
            await connection.write(framed)
        if framing == "chunked":
            await connection.write(b"0\r\n\r\n")
        else:
            connection.cut = True
            await connection.finish_output()

    def _body(self, script: Script, request: ReceivedRequest) -> tuple[AsyncIterator[bytes], bool]:
        """Return the body in pieces, and whether it is an SSE stream."""
        if script.body is not None:
            return _paced(script, [script.body]), False
        if request.path.endswith("/models"):
            models = [{"id": model, "object": "model"} for model in self.models]
            return _paced(script, [json.dumps({"object": "list", "data": models}).encode()]), False
        asked = request.json if request.body else {}
        answer = ChatAnswer(script, asked, self._cache, len(self.requests))
        if not answer.streamed:
            return _paced(script, [answer.whole()]), False
        events = list(answer.stream())
        step = script.events_per_write
        pieces = [b"".join(events[at : at + step]) for at in range(0, len(events), step)]
        return _paced(script, pieces), True


class _Connection:
    """One client's connection: reads requests, writes a response as cut and as far as scripted."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self.number = number
        self.cut = False
        """Nothing more may be written."""
        self._reader = reader
        self._writer = writer
        self._script = Script()
        self._written = 0

    async def read_head(self) -> tuple[str, str, dict[str, str]]:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = (line.split(": ", 1) for line in lines[1:] if line)
        return method, path, {name.lower(): value for name, value in headers}

    async def read_body(self, headers: Mapping[str, str]) -> bytes:
        return await self._reader.readexactly(int(headers.get("content-length", "0")))

    async def pause(self, seconds: float) -> None:
        """Sleep, but notice a client that leaves meanwhile."""
        while seconds > 0:
            await asyncio.sleep(min(seconds, GLANCE_S))
            seconds -= GLANCE_S
            self.check_client()

    def check_client(self) -> None:
        if self._reader.at_eof():
            raise ConnectionResetError("the client left")

    def begin(self, script: Script) -> None:
        self._script = script
        self._written = 0

    async def write(self, data: bytes) -> None:
        """Write up to where the script stops, in the pieces it cuts."""
        script = self._script
        stops = [script.stall_after, script.close_after, script.reset_after]
        stop = min((at for at in stops if at is not None), default=None)
        if self.cut:
            return
        reached = stop is not None and self._written + len(data) >= stop
        if reached and stop is not None:
            data = data[: stop - self._written]
        for piece in self._pieces(data):
            self._writer.write(piece)
            await self._writer.drain()
            if len(piece) < len(data):
                await asyncio.sleep(script.cut_pause_s)
        self._written += len(data)
        if reached:
            await self._break_off()

    async def finish_output(self) -> None:
        """Close after all that was written has gone out."""
        await self._writer.drain()
        self._writer.close()
        await self._writer.wait_closed()

    def _pieces(self, data: bytes) -> list[bytes]:
        start, end = self._written, self._written + len(data)
        every = self._script.cut_every
        cuts = {*self._script.cuts, *(range(every, end, every) if every else ())}
        marks = [start, *sorted(cut for cut in cuts if start < cut < end), end]
        return [data[a - start : b - start] for a, b in pairwise(marks) if b > a]

    async def _break_off(self) -> None:
        self.cut = True
        if self._script.stall_after is not None and self._script.answer_early:
            # Until the provider stops: looking for the client's end would read its body.
            await asyncio.Event().wait()
        elif self._script.stall_after is not None:
            await self._client_leaves()
        elif self._script.reset_after is not None:
            sock: socket.socket = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        else:
            await self.finish_output()

    async def _client_leaves(self) -> None:
        while await self._reader.read(65_536):
            pass
        raise ConnectionResetError("the client left")


def _head(script: Script, streamed: bool, framing: Framing, length: int) -> bytes:
    reason = HTTPStatus(script.status).phrase if script.status in set(HTTPStatus) else "Scripted"
    headers = {"content-type": "text/event-stream" if streamed else "application/json"}
    if framing == "length":
        headers["content-length"] = str(length)
    elif framing == "chunked":
        headers["transfer-encoding"] = "chunked"
    if script.compress:
        headers["content-encoding"] = script.compress.removeprefix("raw-")
    if not script.keep_alive:
        headers["connection"] = "close"
    headers |= script.headers
    lines = [f"HTTP/{script.http} {script.status} {reason}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _paced(script: Script, pieces: list[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces at the script's pace, compressed if it says so."""
    if script.compress:
        pieces = [_compressed(b"".join(pieces), script.compress)]
    while True:
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(script.chunk_delay_s)
            if piece:
                yield piece
        if not script.endless:
            return
        await asyncio.sleep(script.chunk_delay_s)


def _compressed(body: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.compress(body)
    window = -15 if encoding == "raw-deflate" else 15
    compressor = zlib.compressobj(wbits=window)
    return compressor.compress(body) + compressor.flush()
