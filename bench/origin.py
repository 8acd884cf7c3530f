"""The upstream both proxies pass to: as cheap and steady as Python allows, all bytes prebuilt.

Runs as `python -m bench.origin PORT`. `POST …/chat/completions` answers whole or, when the body
asks for it, as a stream; `POST /pace` sets the interval and number of chunks of later streams.
"""

import asyncio
import json
import re
import sys
from collections.abc import Callable
from typing import cast

import httptools
import uvloop

TICK_S = 0.001
BEHIND_MAX_S = 1.0
"""When the wheel lags by more, it forgets the lag instead of sending a burst."""
CHUNKS = 100
INTERVAL_S = 0.02
ASKS_STREAM = re.compile(rb'"stream"\s*:\s*true')
USAGE = {
    "prompt_tokens": 512,
    "completion_tokens": 100,
    "total_tokens": 612,
    "prompt_tokens_details": {"cached_tokens": 448},
}
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def whole_answer() -> bytes:
    """One HTTP answer holding a chat completion of about 1 KB."""
    body = _json(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "echo",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "lorem ipsum " * 55},
                    "finish_reason": "stop",
                }
            ],
            "usage": USAGE,
        }
    )
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def stream_pieces(chunks: int) -> list[bytes]:
    """What a stream writes at each turn; the last piece also ends it.

    `chunks` counts events with JSON: content, then the finish, then the usage.
    """
    content = [_event(_chunk({"content": "lorem ipsum dolor sit amet, "}))] * (chunks - 2)
    finish = _event(_chunk({}, finish="stop"))
    usage = _event(_chunk(None)) + _http_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    pieces = [*content, finish, usage]
    return [STREAM_HEAD + pieces[0], *pieces[1:]]


class Wheel:
    """One timer for all streams: a ring of slots, turned every tick, each slot due in turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._running = 0
        self._next_at = 0.0
        self.pace(INTERVAL_S, CHUNKS)

    def pace(self, interval_s: float, chunks: int) -> None:
        """Set the pace of streams to come; those under way are dropped."""
        self.pieces = stream_pieces(chunks)
        self._slots: list[list[Callable[[], bool]]] = [
            [] for _ in range(max(1, round(interval_s / TICK_S)))
        ]
        self._position = 0
        self._running = 0

    def add(self, step: Callable[[], bool]) -> None:
        """Call `step` once an interval, first in one interval, until it answers False."""
        self._slots[self._position].append(step)
        self._running += 1
        if self._running == 1:
            self._next_at = self._loop.time() + TICK_S
            self._loop.call_at(self._next_at, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        if now - self._next_at > BEHIND_MAX_S:
            self._next_at = now
        while self._next_at <= now and self._running:
            self._next_at += TICK_S
            self._position = (self._position + 1) % len(self._slots)
            due = self._slots[self._position]
            self._slots[self._position] = going = [step for step in due if step()]
            self._running -= len(due) - len(going)
        if self._running:
            self._loop.call_at(self._next_at, self._tick)


class Connection(asyncio.Protocol):
    """One keep-alive connection from a proxy."""

    def __init__(self, wheel: Wheel, whole: bytes) -> None:
        self._wheel = wheel
        self._whole = whole
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []
        self._sent = 0
        self._pieces: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transport has the methods of asyncio.Transport, but is not one.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the `on_…` methods."""
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Note the target of a new request."""
        self._url = url
        self._body = []

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer."""
        body = b"".join(self._body)
        if self._url == b"/pace":
            wanted = json.loads(body)
            self._wheel.pace(wanted["interval_s"], wanted["chunks"])
            self._transport.write(NO_CONTENT)
        elif not self._url.endswith(b"/chat/completions"):
            self._transport.write(NOT_FOUND)
        elif ASKS_STREAM.search(body):
            self._pieces = self._wheel.pieces
            self._sent = 0
            self._step()
            self._wheel.add(self._step)
        else:
            self._transport.write(self._whole)

    def _step(self) -> bool:
        if self._transport.is_closing():
            return False
        self._transport.write(self._pieces[self._sent])
        self._sent += 1
        return self._sent < len(self._pieces)


async def serve(port: int) -> None:
    """Listen on loopback until the process is ended."""
    loop = asyncio.get_running_loop()
    wheel = Wheel(loop)
    whole = whole_answer()
    server = await loop.create_server(
        lambda: Connection(wheel, whole), "127.0.0.1", port, backlog=8192
    )
    await server.serve_forever()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _chunk(delta: dict[str, str] | None, finish: str | None = None) -> dict[str, object]:
    chunk: dict[str, object] = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "echo",
        "system_fingerprint": "fp_bench",
    }
    if delta is None:
        return {**chunk, "choices": [], "usage": USAGE}
    return {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _event(value: object) -> bytes:
    return _http_chunk(b"data: " + _json(value) + b"\n\n")


def _http_chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
