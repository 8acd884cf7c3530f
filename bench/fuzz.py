"""Malformed requests on raw sockets: no mistake of ours, no hang, nothing left behind.

`fuzz` works on any running gateway. In the long form of the harness `run_fuzz` starts one whose
timeouts are short, sends 100,000 sessions and looks at what remains in the process.
"""

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.gateway import Installation, install, start_gateway
from bench.malformed import malformed
from bench.process import open_sockets, resident_mb
from bench.stage import Stage

SESSIONS = 100_000
CONNECTIONS = 48
SECONDS_MAX = 900.0
QUIET_S = 0.04
"""Without a byte for so long, the session says that nothing more comes."""
HANG_S = 8.0
"""After that the gateway must close within this: its own timeouts are a second here."""
HEALTH_EVERY = 500
SETTLE_S = 15.0
STEADY_S = 4.0
"""Longer than the fuzzed gateway's own timeouts."""
GROWTH_MB_MAX = 30.0
"""After the first tenth."""
FAULTS_SHOWN = 10

TIMEOUTS = "header_timeout_s = 1\nbody_timeout_s = 1\nwrite_stall_timeout_s = 2\n"
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to and how much."""

    port: int
    key: str
    sessions: int
    connections: int = CONNECTIONS
    seed: int = 1
    seconds_max: float = SECONDS_MAX


@dataclass(slots=True)
class Found:
    """What came back. `faults` name the session, so that it can be sent again."""

    sessions: int = 0
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter[int])
    faults: list[str] = field(default_factory=list[str])


async def fuzz(plan: Plan) -> Found:
    """Send every session, `connections` at a time, until all are sent or the time is up."""
    found = Found()
    began = time.monotonic()
    numbers = iter(range(plan.sessions))

    async def keep_sending() -> None:
        for number in numbers:
            if time.monotonic() - began > plan.seconds_max:
                return
            await _session(plan, number, found)
            if number % HEALTH_EVERY == 0:
                await _look_after(plan, number, found)

    await asyncio.gather(*(keep_sending() for _ in range(plan.connections)))
    await _look_after(plan, plan.sessions, found)
    found.seconds = time.monotonic() - began
    return found


async def _session(plan: Plan, number: int, found: Found) -> None:
    try:
        got = await _exchange(plan.port, malformed(plan.seed, number, plan.key))
    except TimeoutError:
        found.faults.append(f"session {number}: not over {HANG_S:g} s after its end")
        return
    except OSError as error:
        found.faults.append(f"session {number}: cannot connect: {error}")
        return
    statuses = [int(status) for status in _STATUS.findall(got)]
    found.statuses.update(statuses or [0])
    found.sessions += 1
    if any(status >= 500 for status in statuses):
        found.faults.append(f"session {number}: {statuses}: {got[-300:]!r}")


async def _exchange(port: int, data: bytes) -> bytes:
    """Send, listen until it is quiet, end our side, listen to the end."""
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), HANG_S)
    got = b""
    try:
        writer.write(data)
        while True:
            try:
                piece = await asyncio.wait_for(reader.read(65_536), QUIET_S)
            except TimeoutError:
                break
            got += piece
            if not piece:
                return got
        writer.write_eof()
        async with asyncio.timeout(HANG_S):
            while piece := await reader.read(65_536):
                got += piece
    except TimeoutError:
        raise
    except (OSError, RuntimeError):
        # Closed on us, with words of ours unread: RuntimeError is uvloop's for the same.
        return got
    finally:
        writer.transport.abort()
    return got


async def _look_after(plan: Plan, number: int, found: Found) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    try:
        got = await _ask(plan.port, request)
    except (OSError, TimeoutError) as error:
        found.faults.append(f"after session {number}: /healthz gave {error!r}")
        return
    if b"200 OK" not in got:
        found.faults.append(f"after session {number}: /healthz said {got[:200]!r}")


async def _ask(port: int, request: bytes) -> bytes:
    async with asyncio.timeout(HANG_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.transport.abort()


# --- in the harness


def run_fuzz(stage: Stage) -> None:
    """Fuzz a gateway of its own and judge what it left behind."""
    installation = install(
        stage.children,
        name="fuzzed",
        source=stage.options.source,
        origin_port=stage.origin_port,
        core=stage.cores.measured,
    )
    hurry(installation)
    started = start_gateway(stage.children, installation, core=stage.cores.measured)
    pid, port = started.target.pid, started.target.port
    sessions = SESSIONS // 10 if stage.options.quick else SESSIONS
    first = asyncio.run(fuzz(Plan(port, installation.key, sessions // 10, seed=1)))
    idle_sockets = settled_sockets(pid)
    warm_mb = resident_mb(pid)
    rest = asyncio.run(fuzz(Plan(port, installation.key, sessions - sessions // 10, seed=2)))
    sockets = settled_sockets(pid, at_most=idle_sockets)
    grown_mb = resident_mb(pid) - warm_mb
    statuses = dict(sorted((first.statuses + rest.statuses).items()))
    sent = first.sessions + rest.sessions
    print(f"    {sent} malformed sessions in {first.seconds + rest.seconds:.0f} s: {statuses}")
    print(f"    memory {grown_mb:+.1f} MB, sockets {idle_sockets} before and {sockets} after")
    faults = [*first.faults, *rest.faults]
    stage.faults += [f"fuzz: {fault}" for fault in faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        stage.faults.append(f"fuzz: and {len(faults) - FAULTS_SHOWN} more faults")
    if sent < sessions:
        stage.faults.append(f"fuzz: {sent} of {sessions} sessions in {SECONDS_MAX:g} s")
    if sockets > idle_sockets:
        stage.faults.append(f"fuzz: {sockets - idle_sockets} sockets left open")
    if grown_mb > GROWTH_MB_MAX:
        stage.faults.append(f"fuzz: memory grew by {grown_mb:.1f} MB")
    stage.children.end(started.child)


def hurry(installation: Installation) -> None:
    """Shorten the timeouts of a gateway that is not running yet, so that all ends soon."""
    text = installation.config.read_text()
    text = text.replace("[server]\n", f"[server]\n{TIMEOUTS}")
    text = text.replace("[upstream]\n", "[upstream]\nidle_connection_s = 1\n")
    installation.config.write_text(text)


def settled_sockets(pid: int, *, at_most: int = 0) -> int:
    """Count sockets once they are few enough, or become no fewer for a while."""
    deadline = time.monotonic() + SETTLE_S
    count, since = open_sockets(pid), time.monotonic()
    while count > at_most and time.monotonic() < min(deadline, since + STEADY_S):
        time.sleep(0.1)
        now = open_sockets(pid)
        if now < count:
            count, since = now, time.monotonic()
    return open_sockets(pid)
