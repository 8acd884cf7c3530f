"""Mixed load for minutes, with faults at the upstreams: memory flat, nothing left, every row there.

`soak` works on any running gateway; `run_soak` starts one with three bad upstreams.
"""

import asyncio
import contextlib
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.children import free_port
from bench.fuzz import FAULTS_SHOWN, hurry, settled_sockets
from bench.gateway import install, settled_rows, start_gateway
from bench.malformed import malformed
from bench.process import open_sockets, resident_mb
from bench.stage import Stage
from bench.target import CHAT_PATH, MODEL

MINUTES = 10.0
QUICK_MINUTES = 0.5
CLIENTS = 32
USERS = 300
OPENERS = 5
"""Conversations of a user: each is remembered, so all must be known before memory is judged."""
ANSWER_S = 30.0
"""No client waits longer: the gateway's own bounds end each request much sooner."""
SAMPLE_S = 1.0
SETTLE_S = 15.0
SLOPE_MB_PER_MIN_MAX = 1.0
"""Over the last third: by then every user is known and every cache that has a bound is full."""
SLOPE_S_MIN = 120.0
"""A slope over less says nothing: there the growth itself is judged."""
GROWTH_MB_MAX = 8.0
"""In the last third of a short run, while caches still fill."""
UPSTREAMS = 3

LOOKUPS_AT_ONCE = 8
_ID = re.compile(rb"x-generation-id: (gen-[\w-]+)\r\n")
_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")

WAYS = (
    ("whole", 40),
    ("stream", 25),
    ("leaves", 12),
    ("slow", 6),
    ("half", 6),
    ("wrong", 6),
    ("malformed", 5),
)
"""What clients do, and how often."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The gateway under load."""

    port: int
    pid: int
    key: str
    store: Path


@dataclass(slots=True)
class Seen:
    """What clients saw. `ids` are generations that were answered 200 or by an upstream's error."""

    asked: int = 0
    ids: list[str] = field(default_factory=list[str])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    memory_mb: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    faults: list[str] = field(default_factory=list[str])


async def soak(subject: Subject, *, seconds: float, clients: int = CLIENTS, seed: int = 1) -> Seen:
    """Load it for so long; what was under way at the end is let finish."""
    seen = Seen()
    until = time.monotonic() + seconds
    began = time.monotonic()

    async def behave(number: int) -> None:
        rng = random.Random(f"{seed}-{number}")
        names, weights = zip(*WAYS, strict=True)
        while time.monotonic() < until:
            await _one(subject, rng.choices(names, weights)[0], rng, seen)

    async def sample() -> None:
        while time.monotonic() < until:
            seen.memory_mb.append((time.monotonic() - began, resident_mb(subject.pid)))
            await asyncio.sleep(SAMPLE_S)

    await asyncio.gather(sample(), *(behave(number) for number in range(clients)))
    return seen


def slope_mb_per_min(samples: Sequence[tuple[float, float]]) -> float:
    """Fit a line through the last third of the samples."""
    late = _late(samples)
    if len(late) < 2:
        return 0.0
    mean_s = sum(at for at, _ in late) / len(late)
    mean_mb = sum(mb for _, mb in late) / len(late)
    spread = sum((at - mean_s) ** 2 for at, _ in late)
    return 60.0 * sum((at - mean_s) * (mb - mean_mb) for at, mb in late) / spread


def _late(samples: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    return samples[len(samples) * 2 // 3 :]


def judge(subject: Subject, seen: Seen, *, idle_sockets: int) -> list[str]:
    """Say what is wrong once the load is over; an empty list is a pass."""
    faults = [*seen.faults]
    rows = settled_rows(subject.store, at_least=len(seen.ids))
    missing = asyncio.run(missing_ids(subject, seen.ids))
    if missing:
        faults.append(
            f"{len(missing)} of {len(seen.ids)} answered requests have no row: {missing[:3]}"
        )
    if len(set(seen.ids)) != len(seen.ids):
        faults.append("an id was given twice")
    if rows > seen.asked:
        faults.append(f"{rows} rows for {seen.asked} requests")
    sockets = settled_sockets(subject.pid, at_most=idle_sockets)
    if sockets > idle_sockets:
        faults.append(f"{sockets - idle_sockets} sockets left open")
    return faults + _memory_faults(seen.memory_mb)


def _memory_faults(samples: Sequence[tuple[float, float]]) -> list[str]:
    late = _late(samples)
    slope = slope_mb_per_min(samples)
    grown_mb = max(mb for _, mb in late) - late[0][1]
    if late[-1][0] - late[0][0] >= SLOPE_S_MIN:
        steep = slope > SLOPE_MB_PER_MIN_MAX
        return [f"memory grows by {slope:.2f} MB a minute"] if steep else []
    return [f"memory grew by {grown_mb:.1f} MB"] if grown_mb > GROWTH_MB_MAX else []


async def missing_ids(subject: Subject, ids: Sequence[str]) -> list[str]:
    """Ask the gateway for each, and return those whose row it does not find."""
    missing: list[str] = []
    rest = iter(ids)

    async def look_up() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", subject.port)
        try:
            for one in rest:
                path = f"/api/v1/generation?id={one}"
                auth = f"Host: x\r\nAuthorization: Bearer {subject.key}"
                writer.write(f"GET {path} HTTP/1.1\r\n{auth}\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                if b" 200 OK" not in head or one.encode() not in body:
                    missing.append(one)
        finally:
            writer.transport.abort()

    await asyncio.gather(*(look_up() for _ in range(LOOKUPS_AT_ONCE)))
    return missing


# --- clients


async def _one(subject: Subject, way: str, rng: random.Random, seen: Seen) -> None:
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", subject.port)
            try:
                await _behave(subject, way, rng, seen, (reader, writer))
            finally:
                writer.transport.abort()
    except TimeoutError:
        seen.faults.append(f"a client's {way!r} was not over after {ANSWER_S:g} s")
    except OSError as error:
        if way not in {"malformed", "wrong"}:
            seen.faults.append(f"a client's {way!r} broke: {error!r}")


async def _behave(
    subject: Subject,
    way: str,
    rng: random.Random,
    seen: Seen,
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    reader, writer = connection
    if way == "malformed":
        # A valid request may be among these, up to five.
        seen.asked += 5
        writer.write(malformed(7, rng.randrange(10**9), subject.key))
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(reader.read(65_536), 0.2)
        return
    request = _request(subject, way, rng)
    if way == "half":
        writer.write(request[: rng.randrange(1, len(request))])
        await asyncio.sleep(rng.random() * 0.1)
        return
    seen.asked += 1
    writer.write(request)
    if way == "leaves":
        await asyncio.sleep(rng.random() * 0.3)
        seen.outcomes["left"] += 1
        return
    got = b""
    while piece := await reader.read(512 if way == "slow" else 65_536):
        got += piece
        if way == "slow":
            await asyncio.sleep(0.005)
    _note(way, got, seen)


def _note(way: str, got: bytes, seen: Seen) -> None:
    status, found = _STATUS.match(got), _ID.search(got)
    if status is None:
        seen.faults.append(f"{way}: no answer but {got[:100]!r}")
        return
    code = int(status[1])
    ended = b"[DONE]" in got or b'"error"' in got or b'"usage"' in got
    seen.outcomes[f"{way} {code}"] += 1
    if way == "wrong":
        if code not in {400, 401}:
            seen.faults.append(f"a wrong request was answered {code}")
        return
    if code not in {200, 429, 502, 503, 504} or not ended or found is None:
        seen.faults.append(f"{way}: {code}, {got[-200:]!r}")
        return
    seen.ids.append(found[1].decode())


def _request(subject: Subject, way: str, rng: random.Random) -> bytes:
    fields = {
        "model": MODEL if way != "wrong" else "no/such",
        "user": f"soak-{rng.randrange(USERS)}",
        "stream": way in {"stream", "slow"} or rng.random() < 0.5,
        "messages": [{"role": "user", "content": "x" * (200 * rng.randrange(OPENERS))}],
    }
    body = json.dumps(fields).encode()
    head = (
        f"POST {CHAT_PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {subject.key}\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# --- in the harness


def run_soak(stage: Stage, *, minutes: float) -> None:
    """Soak a gateway of its own over upstreams with faults."""
    ports = [_start_faulty(stage, number) for number in range(UPSTREAMS)]
    installation = install(
        stage.children,
        name="soaked",
        source=stage.options.source,
        origin_port=ports[0],
        core=stage.cores.measured,
    )
    hurry(installation)
    with installation.config.open("a") as config:
        config.write(more_upstreams(ports[1:]))
    started = start_gateway(stage.children, installation, core=stage.cores.measured)
    target = started.target
    subject = Subject(target.port, target.pid, installation.key, installation.store)
    warm = asyncio.run(soak(subject, seconds=10.0, seed=0))
    idle_sockets = settled_sockets(subject.pid)
    seen = asyncio.run(soak(subject, seconds=minutes * 60.0))
    seen.asked += warm.asked + 1
    faults = judge(subject, seen, idle_sockets=idle_sockets)
    memory = [mb for _, mb in seen.memory_mb]
    print(f"    {seen.asked} requests in {minutes:g} min: {dict(sorted(seen.outcomes.items()))}")
    print(
        f"    memory {memory[0]:.1f} to {memory[-1]:.1f} MB (most {max(memory):.1f}), "
        f"{slope_mb_per_min(seen.memory_mb):+.2f} MB/min in the last third; "
        f"{len(seen.ids)} ids, all in the ledger; "
        f"sockets {idle_sockets} before and {open_sockets(subject.pid)} after"
    )
    stage.faults += [f"soak: {fault}" for fault in faults[:FAULTS_SHOWN]]
    stage.children.end(started.child)


def more_upstreams(ports: Sequence[int]) -> str:
    """Write further endpoints of the same model into a configuration."""
    return "".join(
        f'[providers.bad{number}]\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        f'[[models."{MODEL}".endpoints]]\nprovider = "bad{number}"\nupstream_model = "echo"\n'
        'price = { prompt = "0.60", completion = "0.80" }\n'
        "first_byte_timeout_s = 2\nidle_timeout_s = 2\n"
        for number, port in enumerate(ports)
    )


def _start_faulty(stage: Stage, number: int) -> int:
    port = free_port()
    name = f"faulty{number}"
    root = str(Path(__file__).resolve().parents[1])
    child = stage.children.start(
        name,
        [sys.executable, "-m", "bench.faulty", str(port), str(number)],
        core=stage.cores.other,
        environment={"PYTHONPATH": root},
    )
    stage.children.wait_listening(name, child, port)
    return port
