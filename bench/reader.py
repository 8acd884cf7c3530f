"""Read many streams at once and check each: `python -m bench.reader`, a job in, results out.

Takes a `Job` as one JSON line on stdin. Prints `{"open": n}` once every stream has had its first
chunk, and the `Result` when all have ended.
"""

import asyncio
import json
import sys
from array import array
from dataclasses import asdict, dataclass, field
from time import perf_counter as now  # the loop's own clock has steps of 1 ms
from typing import cast

import httptools
import uvloop

from bench.load import USERS, chat_body
from bench.target import CHAT_PATH

EVENT = b"data: {"
DONE = b"data: [DONE]"
SLACK_S = 30.0
COMPLAINTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Job:
    """`streams` at once, each begun anew when it ends, until `seconds` have passed."""

    port: int
    key: str
    streams: int
    chunks: int
    interval_s: float
    seconds: float


@dataclass(slots=True)
class Result:
    """Figures of one job; times in milliseconds."""

    streams: int = 0
    chunks: int = 0
    first_p50_ms: float = 0.0
    first_p99_ms: float = 0.0
    gap_p50_ms: float = 0.0
    gap_p99_ms: float = 0.0
    gap_max_ms: float = 0.0
    complaints: list[str] = field(default_factory=list[str])


class Board:
    """What all streams of a job write to."""

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self.job = job
        self.deadline = now() + job.seconds
        self.first = array("d")
        self.gaps = array("d")
        self.streams = 0
        self.chunks = 0
        self.complaints: list[str] = []
        self.all_ended = loop.create_future()
        self._left = job.streams

    def count_first(self, seconds: float) -> None:
        """Keep a time to the first chunk; tell the harness when every stream had one."""
        self.first.append(seconds)
        if len(self.first) == self.job.streams:
            print(json.dumps({"open": self.job.streams}), flush=True)

    def complain(self, text: str) -> None:
        """Keep the first few faults."""
        if len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append(text)

    def leave(self) -> None:
        """One slot of the job will begin no more streams."""
        self._left -= 1
        if not self._left:
            self.all_ended.set_result(None)

    def result(self) -> Result:
        """Sum up."""
        return Result(
            streams=self.streams,
            chunks=self.chunks,
            first_p50_ms=percentile(self.first, 0.50) * 1e3,
            first_p99_ms=percentile(self.first, 0.99) * 1e3,
            gap_p50_ms=percentile(self.gaps, 0.50) * 1e3,
            gap_p99_ms=percentile(self.gaps, 0.99) * 1e3,
            gap_max_ms=max(self.gaps, default=0.0) * 1e3,
            complaints=self.complaints,
        )


class Reader(asyncio.Protocol):
    """One connection that streams again and again until the deadline."""

    def __init__(self, board: Board, request: bytes) -> None:
        self._board = board
        self._request = request
        self._reading = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first stream."""
        # uvloop's transport has the methods of asyncio.Transport, but is not one.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls `on_body` and `on_message_complete`."""
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        """Count the events whose line ends in this piece."""
        at = now()
        # Only whole lines count, so it does not matter where a proxy cuts.
        lines, newline, rest = (self._rest + body).rpartition(b"\n")
        self._rest = rest
        if not newline:
            return
        events = lines.count(EVENT)
        if events and self._events:
            self._board.gaps.append(at - self._last_at)
        elif events:
            self._board.count_first(at - self._asked_at)
        self._events += events
        self._last_at = at
        self._done = self._done or DONE in lines

    def on_message_complete(self) -> None:
        """Check the stream and begin the next one."""
        self._reading = False
        board = self._board
        board.streams += 1
        board.chunks += self._events
        status = self._parser.get_status_code()
        if status != 200 or not self._done or self._events != board.job.chunks:
            board.complain(
                f"status {status}, {self._events} of {board.job.chunks} chunks, "
                f"{'with' if self._done else 'no'} [DONE]"
            )
        if now() >= board.deadline or board.complaints:
            self._transport.close()
        elif self._parser.should_keep_alive():
            self._ask()
        else:
            board.complain("the connection was closed after a stream")
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a stream that was cut."""
        if self._reading:
            self._board.complain(f"cut after {self._events} chunks: {exc!r}")
        self._board.leave()

    def _ask(self) -> None:
        self._events = 0
        self._rest = b""
        self._done = False
        self._reading = True
        self._asked_at = self._last_at = now()
        self._transport.write(self._request)


async def read_streams(job: Job) -> Result:
    """Open the streams, spread over one stream's length, and wait until all have ended."""
    loop = asyncio.get_running_loop()
    board = Board(job, loop)
    length_s = job.chunks * job.interval_s
    # Spread, the streams load the proxy evenly; begun together they would come in waves.
    spread_s = min(length_s, job.seconds)
    began = loop.time()
    for number in range(job.streams):
        await asyncio.sleep(max(0.0, began + spread_s * number / job.streams - loop.time()))
        request = _request(job, f"user-{number % USERS:04d}")
        await loop.create_connection(lambda r=request: Reader(board, r), "127.0.0.1", job.port)
    try:
        await asyncio.wait_for(board.all_ended, job.seconds + length_s + SLACK_S)
    except TimeoutError:
        board.complain(f"streams were still open {SLACK_S} s after they should have ended")
    return board.result()


def percentile(values: "array[float]", share: float) -> float:
    """The value below which `share` of the values lie; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def _request(job: Job, user: str) -> bytes:
    body = chat_body(user, stream=True, padding=1024)
    head = (
        f"POST {CHAT_PATH} HTTP/1.1\r\nHost: 127.0.0.1:{job.port}\r\n"
        f"Authorization: Bearer {job.key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(read_streams(Job(**json.loads(sys.stdin.readline())))))))
