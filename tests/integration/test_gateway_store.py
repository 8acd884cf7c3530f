"""What clients get while the store is away, and that no row is lost for it."""

import json
import resource
import sqlite3
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from fakes.provider import ScriptedProvider
from fakes.running_gateway import Answer
from fakes.served_process import (
    POLL_S,
    WAIT_S,
    ServedProcess,
    config_text,
    served_process,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit is Linux's")

COMMIT_WAIT_S = 0.3
ROWS_MAX = 3
LEDGER = f"[ledger]\ncommit_wait_s = {COMMIT_WAIT_S}\nretry_s = 0.05\nqueue_rows_max = {ROWS_MAX}\n"
SERVED_WITHIN_S = COMMIT_WAIT_S + 2.0
"""An answer's bound while the store is away, with room for a busy machine."""


@contextmanager
def gateway(folder: Path, *arguments: str) -> Generator[ServedProcess]:
    with (
        ScriptedProvider() as provider,
        served_process(
            folder, config_text(folder, {"p0": provider.url}, more=LEDGER), *arguments
        ) as running,
    ):
        yield running


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold the store's write lock, as a backup or another tool might."""
    connection = sqlite3.connect(folder / "regulars.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def full_disk(running: ServedProcess) -> Generator[None]:
    """Let no file of the gateway's grow; writing fails as on a full disk until the end."""
    pid = running.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def gone(folder: Path) -> Generator[None]:
    """Take the store's file away, as a disk that lost its connection would."""
    store, aside = folder / "regulars.db", folder / "aside"
    store.rename(aside)
    try:
        yield
    finally:
        aside.rename(store)


def timed_chat(running: ServedProcess, *, stream: bool = False) -> tuple[Answer, float]:
    began = monotonic()
    answer = running.chat(user="u", stream=stream)
    return answer, monotonic() - began


def wait_until_ready(running: ServedProcess) -> None:
    deadline = monotonic() + WAIT_S
    while running.get("/readyz").status != 200:
        assert monotonic() < deadline, "".join(running.log.lines)
        sleep(POLL_S)


def ids(answers: list[Answer]) -> set[str]:
    return {answer.headers["x-generation-id"] for answer in answers}


def test_a_locked_store_delays_an_answer_by_no_more_than_its_bound(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        before = running.chat(user="u")
        with locked(tmp_path):
            whole, whole_s = timed_chat(running)
            stream, stream_s = timed_chat(running, stream=True)
            known = running.get(f"/api/v1/generation?id={before.json['id']}")
            running.log.wait_for("ledger_rows_waiting")
            missing = running.get(f"/api/v1/generation?id={whole.json['id']}")
        running.log.wait_for("ledger_recovered")
        wait_until_ready(running)
        rows = running.rows()

    assert (whole.status, stream.status) == (200, 200)
    assert stream.data[-1] == "[DONE]"
    assert COMMIT_WAIT_S <= whole_s < SERVED_WITHIN_S
    assert COMMIT_WAIT_S <= stream_s < SERVED_WITHIN_S
    assert known.json["data"]["external_user"] == "u"  # who only reads is not kept waiting
    assert missing.status == 404
    assert {row.id for row in rows} == ids([before, whole, stream])
    assert len(rows) == 3


def test_a_full_disk_serves_what_fits_the_queue_then_refuses_and_recovers(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        served = [running.chat(user="u")]
        with full_disk(running):
            timed = [timed_chat(running, stream=number % 2 == 0) for number in range(ROWS_MAX)]
            served += [answer for answer, _ in timed]
            refused = [running.chat(user="u") for _ in range(3)]
            not_ready = running.get("/readyz")
            alive = running.get("/healthz")
            running.log.wait_for("ledger_rows_waiting")
        wait_until_ready(running)
        served.append(running.chat(user="u"))
        rows = running.rows()

    assert [answer.status for answer in served] == [200] * (ROWS_MAX + 2)
    assert max(waited_s for _, waited_s in timed) < SERVED_WITHIN_S
    assert [answer.status for answer in refused] == [503] * 3
    assert "queue is full" in refused[0].json["error"]["message"]
    assert refused[0].headers["retry-after"] == "5"
    assert (not_ready.status, alive.status) == (503, 200)
    assert len(rows) == len(served)
    assert {row.id for row in rows} == ids(served)
    assert any("free space" in line for line in running.log.lines)


def test_rows_that_wait_at_the_end_are_kept_for_the_next_start(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        first = running.chat(user="u")
        with gone(tmp_path):
            late, _ = timed_chat(running)
            running.process.terminate()
            code = running.process.wait(WAIT_S)
        (spooled,) = tmp_path.glob("regulars.db.spool.*.jsonl")
        on_disk = json.loads(spooled.read_text())["id"]
    # a restart knows its keys, so the banner shows none: rows are read from the store
    with gateway(tmp_path) as running:
        running.log.wait_for("ledger_spool_stored")
        rows = running.rows()

    assert code == 0
    assert on_disk == late.json["id"]
    assert {row.id for row in rows} == ids([first, late])
    assert list(tmp_path.glob("regulars.db.spool.*")) == []
