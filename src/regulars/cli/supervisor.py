"""Keeps several worker processes serving one socket: starts, restarts, stops them.

A worker that dies is started again, ever more slowly while it keeps dying. A stop signal is
passed on and waited for, bounded; a second one ends all at once. Workers hold the reading end
of a pipe, the lifeline: when the parent is gone, it breaks and they stop too.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Final, Protocol, cast

START_TIMEOUT_S: Final = 60.0
STOP_MARGIN_S: Final = 5.0
"""On top of the drain: for the last rows and for closing the store."""
RESTART_PAUSE_S: Final = 0.5
RESTART_PAUSE_MAX_S: Final = 30.0
STEADY_S: Final = 60.0
"""A worker that lived this long is restarted without a longer pause."""

_POLL_S: Final = 0.2

_log = logging.getLogger("regulars.supervisor")


class Work(Protocol):
    """What a worker does: serve until SIGTERM; False if it could not start. Picklable."""

    def __call__(self, listener: socket.socket, /, *, on_ready: Callable[[], None]) -> bool:
        """Do it; call `on_ready` once requests are served."""
        ...


@dataclass(frozen=True, slots=True)
class Crew:
    """How many workers there are, and how long they may take to stop."""

    workers: int
    drain_timeout_s: float


@dataclass(slots=True)
class _Worker:
    """One place among the workers, and the process that holds it now."""

    number: int
    process: BaseProcess
    ready: Connection
    started_at_s: float
    restart_at_s: float | None = None
    pause_s: float = RESTART_PAUSE_S
    was_ready: bool = False


class Supervisor:
    """Runs a crew of processes that do the same work, until a stop signal."""

    def __init__(
        self, crew: Crew, work: Work, listener: socket.socket, *, on_ready: Callable[[], None]
    ) -> None:
        self._crew = crew
        self._work = work
        self._listener = listener
        self._on_ready = on_ready
        self._context = _context()
        self._lifeline, self._held_end = _pipe()
        self._workers: list[_Worker] = []
        self._stops = 0

    def run(self) -> bool:
        """Serve until stopped; False if the workers did not get ready or had to be killed."""
        previous = {
            number: signal.signal(number, self._count_stop)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            return self._run()
        finally:
            self._kill_all()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _run(self) -> bool:
        for number in range(self._crew.workers):
            process, ready = self._spawn(number)
            self._workers.append(_Worker(number, process, ready, time.monotonic()))
        if not self._wait_until_ready():
            self._stop()
            return False
        if not self._stops:
            self._on_ready()
        while not self._stops:
            self._wait_for_deaths(_POLL_S)
            self._restart_due()
        return self._stop()

    def _count_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def _spawn(self, number: int) -> tuple[BaseProcess, Connection]:
        ready, tell_ready = _pipe()
        process = self._context.Process(
            target=_be_a_worker,
            args=(self._work, self._listener, tell_ready, self._lifeline, self._held_end),
            name=f"regulars-worker-{number}",
        )
        process.start()
        tell_ready.close()
        return process, ready

    def _wait_until_ready(self) -> bool:
        """Wait for all workers' first words; a death before them is final: it would come again."""
        deadline = time.monotonic() + START_TIMEOUT_S
        waiting = {worker.ready: worker for worker in self._workers}
        while waiting and not self._stops:
            if time.monotonic() > deadline:
                _log.error("workers_not_ready", extra={"after_s": START_TIMEOUT_S})
                return False
            for connection in wait(list(waiting), _POLL_S):
                worker = waiting.pop(cast("Connection", connection))
                worker.was_ready = _said_ready(worker.ready)
                if not worker.was_ready:
                    _log.error("worker_did_not_start", extra={"worker": worker.number})
                    return False
        return True

    def _wait_for_deaths(self, timeout_s: float) -> None:
        living = {w.process.sentinel: w for w in self._workers if w.restart_at_s is None}
        if not living:
            time.sleep(timeout_s)
            return
        for sentinel in wait(list(living), timeout_s):
            assert isinstance(sentinel, int)
            self._note_death(living[sentinel])

    def _note_death(self, worker: _Worker) -> None:
        now = time.monotonic()
        worker.process.join()
        worker.ready.close()
        if now - worker.started_at_s > STEADY_S:
            worker.pause_s = RESTART_PAUSE_S
        worker.restart_at_s = now + worker.pause_s
        _log.error(
            "worker_died",
            extra={
                "worker": worker.number,
                "pid": worker.process.pid,
                "exit_code": worker.process.exitcode,
                "restart_in_s": worker.pause_s,
            },
        )
        worker.pause_s = min(worker.pause_s * 2, RESTART_PAUSE_MAX_S)

    def _restart_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if worker.restart_at_s is not None and worker.restart_at_s <= now:
                worker.process, worker.ready = self._spawn(worker.number)
                worker.started_at_s, worker.restart_at_s = now, None
                _log.info(
                    "worker_restarted",
                    extra={"worker": worker.number, "pid": worker.process.pid},
                )

    def _stop(self) -> bool:
        """Pass the stop on and wait; True if all went by themselves."""
        _log.info("stopping", extra={"workers": len(self._workers)})
        self._listener.close()
        for worker in self._workers:
            if worker.process.is_alive():
                worker.process.terminate()
        wait_s = self._crew.drain_timeout_s + STOP_MARGIN_S
        deadline = time.monotonic() + wait_s
        while any(worker.process.is_alive() for worker in self._workers):
            if self._stops > 1 or time.monotonic() > deadline:
                _log.error("workers_killed", extra={"asked_again": self._stops > 1})
                self._kill_all()
                return False
            wait([w.process.sentinel for w in self._workers if w.process.is_alive()], _POLL_S)
        return True

    def _kill_all(self) -> None:
        for worker in self._workers:
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()


def _context() -> ForkContext | SpawnContext:
    """Fork where it is safe and quick, spawn elsewhere."""
    if sys.platform == "linux":
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


def _pipe() -> tuple[Connection, Connection]:
    """A pipe's reading and writing end."""
    # Windows' kind has the same methods, but another class
    return cast("tuple[Connection, Connection]", multiprocessing.Pipe(duplex=False))


def _said_ready(connection: Connection) -> bool:
    try:
        return bool(connection.recv())
    except EOFError:
        return False  # it died first


def _be_a_worker(
    work: Work,
    listener: socket.socket,
    tell_ready: Connection,
    lifeline: Connection,
    held_end: Connection,
) -> None:
    from regulars.cli.log import set_up_logging

    # The parent's handlers came along with the fork. Ctrl-C reaches the whole group, but when
    # to stop is the parent's to say.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    held_end.close()  # only the parent may hold it, or the lifeline never breaks
    set_up_logging()
    threading.Thread(target=_stop_with_parent, args=(lifeline,), daemon=True).start()

    def say_ready() -> None:
        tell_ready.send(True)
        tell_ready.close()

    if not work(listener, on_ready=say_ready):
        sys.exit(1)


def _stop_with_parent(lifeline: Connection) -> None:
    try:
        lifeline.recv()
    except EOFError:
        os.kill(os.getpid(), signal.SIGTERM)
