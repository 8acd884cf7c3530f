"""Requests at a steady pace, whatever the answers take: latencies from when each was due.

Reads a job as JSON from standard input, prints the latencies' percentiles. Waiting for a free
connection counts, so a gateway that stands still shows in every request that was due meanwhile.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass

from bench.load import chat_body
from bench.target import CHAT_PATH

CONNECTIONS = 64
ANSWER_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """What to send: `rate` requests a second for so long."""

    port: int
    key: str
    rate: float
    seconds: float


async def run(job: Job) -> list[float]:
    """Send all; the latency of each in seconds.

    Raises:
        RuntimeError: an answer was not 200.
    """
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", job.port))
    bodies = [chat_body(f"user-{n:04d}", stream=False, padding=500) for n in range(500)]
    head = (
        f"POST {CHAT_PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {job.key}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    ).encode()
    found: list[float] = []

    async def one(due: float, body: bytes) -> None:
        reader, writer = await free.get()
        writer.write(head + f"{len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not served: {answer[:100]!r}")
        length = next(
            line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length")
        )
        await reader.readexactly(int(length.partition(b":")[2]))
        found.append(time.perf_counter() - due)
        free.put_nowait((reader, writer))

    begin = time.perf_counter()
    async with asyncio.timeout(job.seconds + ANSWER_MAX_S), asyncio.TaskGroup() as tasks:
        for number in range(int(job.rate * job.seconds)):
            due = begin + number / job.rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            tasks.create_task(one(due, bodies[number % len(bodies)]))
    while not free.empty():
        free.get_nowait()[1].close()
    return found


def main() -> None:
    """Do the job on standard input."""
    found = sorted(asyncio.run(run(Job(**json.loads(sys.stdin.readline())))))
    p50, p99 = (found[int(share * (len(found) - 1))] * 1000 for share in (0.5, 0.99))
    print(json.dumps({"answers": len(found), "p50_ms": p50, "p99_ms": p99}))


if __name__ == "__main__":
    main()
