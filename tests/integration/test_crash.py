"""kill -9 of workers and of the whole gateway under load: what a client got is in the ledger, once."""

import json
import os
import random
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, Answer
from fakes.served_process import POLL_S, WAIT_S, ServedProcess, config_text, served_process
from regulars.model.generation import Generation
from regulars.stores.base import Difference, Filter
from regulars.stores.sqlite import open_store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

LIVES = 5
WORKER_KILLS = 4
CLIENTS = 8
QUIET_S = (0.1, 0.5)
"""Between two kills: long enough for answers, too short for anything to settle."""


@dataclass(slots=True)
class Clients:
    """Threads that ask until told to stop, and what they received whole."""

    host: str
    key: str
    life: int
    whole: list[Answer] = field(default_factory=list[Answer])
    broken: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def ask(self, number: int) -> None:
        while not self.stopping.is_set():
            connection = HTTPConnection(self.host, timeout=WAIT_S)
            with closing(connection):
                try:
                    self._ask_often(connection, number)
                except (HTTPException, OSError):
                    self.broken += 1
                    sleep(POLL_S)

    def _ask_often(self, connection: HTTPConnection, number: int) -> None:
        while not self.stopping.is_set():
            streamed = random.random() < 0.5
            body = json.dumps(
                {
                    "model": MODEL,
                    "messages": HELLO,
                    "user": f"life{self.life}-user{number}",
                    "stream": streamed,
                }
            )
            head = {"Authorization": f"Bearer {self.key}"}
            connection.request("POST", "/api/v1/chat/completions", body, head)
            got = connection.getresponse()
            names = {name.lower(): value for name, value in got.getheaders()}
            answer = Answer(got.status, names, got.read())
            if answer.status == 200 and (not streamed or answer.data[-1:] == ["[DONE]"]):
                self.whole.append(answer)


def live(folder: Path, config: str, key: str | None, life: int) -> tuple[str, Clients]:
    """Start a gateway, kill its workers one by one under load, then all of it."""
    with served_process(folder, config, "--workers", "4") as gateway:
        key = key or gateway.keys[0]
        clients = Clients(gateway.host, key, life)
        threads = [threading.Thread(target=clients.ask, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for _ in range(WORKER_KILLS):
            sleep(random.uniform(*QUIET_S))
            kill_one_worker(gateway)
        sleep(random.uniform(*QUIET_S))
        clients.stopping.set()
        kill_all(gateway)
        for thread in threads:
            thread.join(WAIT_S)
    return key, clients


def kill_one_worker(gateway: ServedProcess) -> None:
    deadline = monotonic() + WAIT_S
    while not (workers := gateway.children):
        assert monotonic() < deadline, "the supervisor restarted no worker"
        sleep(POLL_S)
    os.kill(random.choice(workers), signal.SIGKILL)


def kill_all(gateway: ServedProcess) -> None:
    workers = gateway.children
    gateway.process.kill()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    gateway.process.wait(WAIT_S)


def test_answers_served_while_the_store_is_locked_survive_a_kill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = Script(chunk_delay_s=0.004, body_delay_s=0.02)
    with ScriptedProvider(default=script) as one:
        config = config_text(tmp_path, {"p0": one.url})
        with served_process(tmp_path, config, "--workers", "2") as gateway:
            clients = Clients(gateway.host, gateway.keys[0], 0)
            threads = [threading.Thread(target=clients.ask, args=(n,)) for n in range(CLIENTS)]
            for thread in threads:
                thread.start()
            sleep(0.5)
            with closing(sqlite3.connect(f"{tmp_path}/regulars.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                sleep(4.5)
                before = len(clients.whole)
                sleep(2.0)
                clients.stopping.set()
                kill_all(gateway)
                for thread in threads:
                    thread.join(WAIT_S)
        recover(tmp_path, config)
    rows, counted, differences = all_rows(tmp_path)

    kept = {row.id: row for row in rows}
    wrong = [a for a in clients.whole if figures(a) != kept_figures(kept[figures(a)[0]])]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(clients.whole)} answers received whole, {len(rows)} rows, {len(wrong)} wrong\n"
        )
    assert len(clients.whole) > before > CLIENTS
    assert not wrong
    assert len(kept) == len(rows) == counted
    assert not differences


def figures(answer: Answer) -> tuple[str, int, int, float | None]:
    """What the client was told: id, tokens and cost."""
    last = json.loads(answer.data[-2]) if answer.data else answer.json
    usage = last["usage"]
    return (last["id"], usage["prompt_tokens"], usage["completion_tokens"], usage["cost"])


def kept_figures(row: Generation) -> tuple[str, int, int, float | None]:
    assert row.usage is not None
    cost = None if row.cost is None else row.cost.total / 1e9
    return (row.id, row.usage.prompt_tokens, row.usage.completion_tokens, cost)


def all_rows(folder: Path) -> tuple[Sequence[Generation], int, list[Difference]]:
    store = open_store(f"sqlite:///{folder}/regulars.db")
    try:
        where = Filter(account="default")
        rows = store.generations(where, limit=100_000, before=None)[0]
        return rows, store.totals(where).requests, list(store.verify())
    finally:
        store.close()


def recover(folder: Path, config: str) -> None:
    """One more start, which brings in what the dead left, and an orderly stop."""
    with served_process(folder, config, "--workers", "1") as gateway:
        gateway.process.terminate()
        gateway.process.wait(WAIT_S)


def lives(folder: Path, config: str) -> Iterator[Clients]:
    key: str | None = None
    for life in range(LIVES):
        key, clients = live(folder, config, key, life)
        yield clients


def test_killed_gateways_keep_what_clients_received(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random.seed(20_251)
    script = Script(chunk_delay_s=0.004, body_delay_s=0.02)
    with ScriptedProvider(default=script) as one, ScriptedProvider(default=script) as two:
        config = config_text(tmp_path, {"p0": one.url, "p1": two.url})
        answered = list(lives(tmp_path, config))
        asked = len(one.requests) + len(two.requests)
        recover(tmp_path, config)
    rows, counted, differences = all_rows(tmp_path)

    received = [answer for clients in answered for answer in clients.whole]
    kept = {row.id: row for row in rows}
    lost = [a for a in received if a.headers["x-generation-id"] not in kept]
    wrong = [a for a in received if figures(a) != kept_figures(kept[figures(a)[0]])]
    outcomes = Counter(str(row.outcome) for row in rows)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{LIVES * (WORKER_KILLS + 1)} kills: {asked} requests reached a provider, "
            f"{len(received)} answers received whole, {sum(c.broken for c in answered)} cut; "
            f"{len(rows)} rows {dict(outcomes)}, {len(lost)} lost, {len(wrong)} wrong, "
            f"{len(rows) - len(kept)} twice, {len(differences)} differences\n"
        )
    assert len(received) > 100
    assert outcomes["interrupted"] > 0
    assert not lost
    assert not wrong
    assert len(kept) == len(rows) == counted
    assert not differences
