"""`regulars serve --workers 2` under load, under signals, and with a worker killed."""

import os
import signal
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import Answer
from fakes.served_process import (
    POLL_S,
    WAIT_S,
    ServedProcess,
    config_text,
    served_process,
)
from regulars.model.generation import Outcome

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CONNECTIONS = 16
REQUESTS_EACH = 20
AT_ONCE_S = 2.0


@contextmanager
def crew(folder: Path, script: Script | None = None) -> Generator[ServedProcess]:
    """Two workers in front of two providers."""
    with ScriptedProvider(default=script) as one, ScriptedProvider(default=script) as two:
        config = config_text(folder, {"p0": one.url, "p1": two.url})
        with served_process(folder, config, "--workers", "2") as gateway:
            yield gateway


def chat_often(gateway: ServedProcess, number: int) -> list[Answer]:
    """Send some requests over one connection, every third streamed."""
    with closing(gateway.connect()) as connection:
        return [
            gateway.ask(connection, user=f"u{number}", stream=each % 3 == 0)
            for each in range(REQUESTS_EACH)
        ]


def sockets_of(pid: int) -> int:
    links = Path(f"/proc/{pid}/fd").iterdir()
    return sum(str(link.readlink()).startswith("socket:") for link in links)


def ids(answers: list[Answer]) -> list[str]:
    return [answer.headers["x-generation-id"] for answer in answers]


@dataclass(slots=True)
class Load:
    """Clients that ask until told to stop; a broken connection is opened anew."""

    gateway: ServedProcess
    answered: list[Answer] = field(default_factory=list[Answer])
    broken: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        while not self.stop.is_set():
            with closing(self.gateway.connect()) as connection:
                try:
                    while not self.stop.is_set():
                        answer = self.gateway.ask(
                            connection, user=f"u{number}", stream=number % 2 == 0
                        )
                        self.answered.append(answer)
                except (OSError, HTTPException):
                    self.broken += 1

    def wait_for(self, more: int) -> None:
        """Wait until so many more answers have come."""
        wanted = len(self.answered) + more
        deadline = monotonic() + WAIT_S
        while len(self.answered) < wanted:
            assert monotonic() < deadline, f"{len(self.answered)} answers, {self.broken} broken"
            sleep(POLL_S)


@contextmanager
def load(gateway: ServedProcess) -> Generator[Load]:
    running = Load(gateway)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        done = [pool.submit(running.client, number) for number in range(CONNECTIONS)]
        try:
            yield running
        finally:
            running.stop.set()
        for each in done:
            each.result(WAIT_S)


def test_every_request_of_many_connections_is_one_row(tmp_path: Path) -> None:
    with crew(tmp_path, Script(head_delay_s=0.005)) as gateway:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            batches = pool.map(partial(chat_often, gateway), range(CONNECTIONS))
            answers = [answer for batch in batches for answer in batch]
        rows = gateway.rows()
        report = gateway.get("/api/v1/activity?to=9998-12-31").json["data"]

    assert {answer.status for answer in answers} == {200}
    assert len(set(ids(answers))) == len(answers) == CONNECTIONS * REQUESTS_EACH
    assert sorted(row.id for row in rows) == sorted(ids(answers))
    assert {row.outcome for row in rows} == {Outcome.COMPLETED}
    assert sum(item["requests"] for item in report) == len(rows)


def test_the_workers_share_the_connections(tmp_path: Path) -> None:
    with crew(tmp_path) as gateway, ExitStack() as opened:
        idle = {pid: sockets_of(pid) for pid in gateway.children}
        for number in range(100):
            connection = opened.enter_context(closing(gateway.connect()))
            gateway.ask(connection, user=f"u{number}")
        busy = {pid: sockets_of(pid) for pid in gateway.children}

    assert len(busy) == 2
    assert all(busy[pid] > idle[pid] for pid in busy), (idle, busy)


def test_open_streams_end_well_after_one_signal(tmp_path: Path) -> None:
    slow = Script(chunks=20, chunk_delay_s=0.05)
    with crew(tmp_path, slow) as gateway, ExitStack() as opened:
        streams = [begin_stream(gateway, opened, f"u{number}") for number in range(8)]
        gateway.process.terminate()
        gateway.log.wait_for("stopping")
        ends = [stream.read() for stream in streams]
        code = gateway.process.wait(WAIT_S)
        rows = gateway.rows()

    assert [end.rstrip().endswith(b"data: [DONE]") for end in ends] == [True] * 8
    assert code == 0
    assert [row.outcome for row in rows] == [Outcome.COMPLETED] * 8


@pytest.mark.parametrize("pause_s", [0.05, 0.5], ids=["quickly", "later"])
def test_a_second_signal_ends_at_once(tmp_path: Path, pause_s: float) -> None:
    endless = Script(chunks=1000, chunk_delay_s=0.05, text="x" * 1000)
    with crew(tmp_path, endless) as gateway, ExitStack() as opened:
        for number in range(4):
            begin_stream(gateway, opened, f"u{number}")
        workers = gateway.children
        gateway.process.terminate()
        sleep(pause_s)
        began = monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        code = gateway.process.wait(WAIT_S)
        took_s = monotonic() - began

    assert code == 1
    assert took_s < AT_ONCE_S
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_a_killed_worker_is_replaced_and_no_answered_request_misses_its_row(tmp_path: Path) -> None:
    with crew(tmp_path, Script(head_delay_s=0.002)) as gateway:
        first = gateway.children
        with load(gateway) as running:
            running.wait_for(100)
            os.kill(max(first, key=sockets_of), signal.SIGKILL)
            running.wait_for(100)
            gateway.log.wait_for("worker_restarted")
            running.wait_for(300)
        second = gateway.children
        after = gateway.chat(user="after")
        rows = gateway.rows()

    answered = ids([*running.answered, after])
    kept = [row.id for row in rows]
    assert {answer.status for answer in running.answered} == {200}
    assert 1 <= running.broken <= CONNECTIONS
    assert len(second) == 2
    assert set(second) != set(first)
    assert len(set(kept)) == len(kept)
    assert set(answered) <= set(kept)
    # What was in flight in the killed worker may have its row and no answer, and nothing more.
    assert len(kept) - len(answered) <= running.broken


def begin_stream(gateway: ServedProcess, opened: ExitStack, user: str) -> "Stream":
    connection = opened.enter_context(closing(gateway.connect()))
    return Stream(gateway, connection, user)


class Stream:
    """A stream whose first content has come; `read` gives the rest."""

    def __init__(self, gateway: ServedProcess, connection: HTTPConnection, user: str) -> None:
        body, headers = gateway.request_of(user=user, stream=True)
        connection.request("POST", "/api/v1/chat/completions", body, headers)
        self._answer = connection.getresponse()
        assert self._answer.status == 200
        assert self._answer.readline().startswith(b"data: ")

    def read(self) -> bytes:
        return self._answer.read()
