"""Rows of large bodies: CPU a request, and for how long they keep the event loop from others.

A probe asks `/healthz` on one open connection every few milliseconds while the load runs, and
times each answer: nothing may keep the loop for longer than the slowest of them took.
"""

import socket
import statistics
import threading
import time
from array import array
from typing import Self

from bench.errors import BenchError
from bench.load import Shape
from bench.reader import percentile
from bench.report import Bar, Row
from bench.stage import Stage
from bench.target import Target
from bench.whole import against_nginx, cost_of_answer_us

BODY_BYTES = 1_000_000
CONNECTIONS = 8
USERS = 8
COST_BAR = Bar(now=1500)
BLOCKED_BAR = Bar(now=20)
PROBE_EVERY_S = 0.003
PROBE_TIMEOUT_S = 10.0
HEALTHY = b'{"status":"ok"}'
PROBE = b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n"


def run_large(stage: Stage, gateway: Target, nginx: Target) -> None:
    """Measure bodies of 1 MB."""
    shape = Shape(
        seconds=stage.options.seconds,
        connections=CONNECTIONS,
        body_bytes=BODY_BYTES,
        users=USERS,
    )
    stage.add(against_nginx(stage, "whole answer, 1 MB body", shape, (gateway, nginx), COST_BAR))
    # One at a time: with more, the probe would wait for several bodies in turn.
    alone = Shape(seconds=stage.options.seconds, connections=1, body_bytes=BODY_BYTES, users=USERS)
    waits = [_waits(stage, gateway, alone) for _ in range(stage.options.repeats)]
    blocked_ms = [max(some) * 1e3 for some in waits]
    typical_ms = statistics.median(percentile(some, 0.5) for some in waits) * 1e3
    note = f"slowest of {len(waits[0])} /healthz answers meanwhile, p50 {typical_ms:.2f} ms"
    stage.add(Row("event loop kept by 1 MB bodies", "ms", blocked_ms, (), BLOCKED_BAR, note))


def _waits(stage: Stage, gateway: Target, shape: Shape) -> "array[float]":
    with Probe(gateway.port) as probe:
        cost_of_answer_us(stage, gateway, shape)
    return probe.waits


class Probe:
    """Asks again and again, in a thread, until the block ends; `waits` in seconds."""

    def __init__(self, port: int) -> None:
        self.waits = array("d")
        self._broken = ""
        self._over = threading.Event()
        self._port = port
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join(2 * PROBE_TIMEOUT_S)
        if self._broken or not self.waits:
            raise BenchError(f"the probe of /healthz broke: {self._broken or 'no answer'}")

    def _run(self) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self._port), PROBE_TIMEOUT_S) as connection:
                while not self._over.wait(PROBE_EVERY_S):
                    began = time.perf_counter()
                    connection.sendall(PROBE)
                    got = b""
                    while not got.endswith(HEALTHY):  # bounded by the connection's timeout
                        piece = connection.recv(65_536)
                        if not piece:
                            self._broken = f"answered with {got[:200]!r}"
                            return
                        got += piece
                    self.waits.append(time.perf_counter() - began)
        except OSError as error:
            self._broken = repr(error)
