"""`[ledger]` in the file, seen from outside: late rows, spool, retention, and what /metrics says."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from conformance.stores.ledgers import generation
from fakes.provider import ScriptedProvider
from fakes.served_process import POLL_S, WAIT_S, ServedProcess, config_text, served_process
from regulars.model.generation import Outcome
from regulars.stores.sqlite import open_store

SERVE = '[ledger]\ncommit_wait_s = 0.2\nretry_s = 0.05\nwhen_late = "serve"\n'
REFUSE = SERVE.replace('"serve"', '"refuse"')
DAY_S = 86_400


@contextmanager
def gateway(folder: Path, ledger: str) -> Generator[ServedProcess]:
    with (
        ScriptedProvider() as provider,
        served_process(folder, config_text(folder, {"p0": provider.url}, more=ledger)) as running,
    ):
        # From here on both keys are known, also while the store is away.
        assert running.get("/metrics").status == 200
        yield running


@contextmanager
def away(folder: Path) -> Generator[None]:
    """Take the store's file away, as a disk that lost its connection would."""
    store, aside = folder / "regulars.db", folder / "aside"
    store.rename(aside)
    try:
        yield
    finally:
        aside.rename(store)


def metrics(running: ServedProcess) -> dict[str, float]:
    families = text_string_to_metric_families(running.get("/metrics").body.decode())
    return {
        sample.name.removeprefix("regulars_"): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def wait_for(running: ServedProcess, **wanted: float) -> dict[str, float]:
    deadline = time.monotonic() + WAIT_S
    while any((found := metrics(running))[name] != value for name, value in wanted.items()):
        assert time.monotonic() < deadline, f"{found}, not {wanted}"
        time.sleep(POLL_S)
    return found


def verified(folder: Path) -> list[Any]:
    store = open_store(f"sqlite:///{folder}/regulars.db")
    try:
        store.fold()
        return list(store.verify())
    finally:
        store.close()


def test_a_row_that_would_be_late_is_spooled_and_its_answer_served(tmp_path: Path) -> None:
    patient = SERVE.replace("commit_wait_s = 0.2", "commit_wait_s = 2.0")
    with gateway(tmp_path, patient) as running:
        with away(tmp_path):
            answer = running.chat(user="u")
            during = metrics(running)
            (file,) = tmp_path.glob("regulars.db.spool.*.jsonl")
            in_file = file.read_text()
        after = wait_for(running, ledger_rows_spooled=0, ledger_store_away=0)
        (row,) = running.rows()

    assert answer.status == 200
    assert answer.json["id"] in in_file
    assert (during["ledger_rows_spooled"], during["ledger_rows_late_total"]) == (1, 0)
    assert after["ledger_rows_late_total"] == 0
    assert (row.id, row.outcome) == (answer.json["id"], Outcome.COMPLETED)


def test_a_late_row_is_served_and_counted(tmp_path: Path) -> None:
    with gateway(tmp_path, SERVE + "spool_rows_max = 0\n") as running:
        with away(tmp_path):
            late = running.chat(user="u")
            during = wait_for(running, ledger_store_away=1)
        after = wait_for(running, ledger_rows_waiting=0, ledger_store_away=0)
        (row,) = running.rows()

    assert late.status == 200
    assert (during["ledger_rows_waiting"], during["ledger_rows_late_total"]) == (1, 1)
    assert after["ledger_rows_committed_total"] == after["ledger_commits_total"] == 1
    assert (row.outcome, row.status) == (Outcome.COMPLETED, 200)


def test_a_refused_late_answer_has_the_row_of_what_its_client_got(tmp_path: Path) -> None:
    with gateway(tmp_path, REFUSE) as running:
        in_time = running.chat(user="u")
        with away(tmp_path):
            whole = running.chat(user="u")
            stream = running.chat(user="u", stream=True)
            wait_for(running, ledger_rows_late_total=2)
        wait_for(running, ledger_rows_waiting=0)
        rows = {row.id: row for row in running.rows()}
        activity = running.get("/api/v1/activity?user=u").json["data"]

    assert in_time.status == 200
    assert (whole.status, whole.json["error"]["metadata"]["error_type"]) == (503, "unrecorded")
    assert whole.headers["retry-after"] == "5"
    assert stream.status == 200
    assert stream.events[-1]["error"]["code"] == 503
    assert len(rows) == 3
    kept = [rows[answer.headers["x-generation-id"]] for answer in (in_time, whole, stream)]
    assert [(row.outcome, row.status, row.error) for row in kept] == [
        (Outcome.COMPLETED, 200, None),
        (Outcome.FAILED, 503, "unrecorded"),
        (Outcome.FAILED, 503, "unrecorded"),
    ]
    assert all(row.cost is not None and row.cost.total > 0 for row in kept)
    assert sum(day["requests"] for day in activity) == 3
    assert verified(tmp_path) == []


def test_a_refused_answer_whose_row_was_locked_out_is_corrected_exactly_once(
    tmp_path: Path,
) -> None:
    with gateway(tmp_path, REFUSE) as running:
        running.chat(user="u")
        lock = sqlite3.connect(tmp_path / "regulars.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        refused = running.chat(user="u")
        # A commit that was under way when the answer was refused succeeds now.
        lock.close()
        wait_for(running, ledger_rows_waiting=0)
        rows = {row.id: row for row in running.rows()}

    assert refused.status == 503
    assert len(rows) == 2
    row = rows[refused.headers["x-generation-id"]]
    assert (row.outcome, row.status, row.error) == (Outcome.FAILED, 503, "unrecorded")
    assert verified(tmp_path) == []


def test_the_spool_takes_no_more_than_its_bound_then_requests_are_refused(tmp_path: Path) -> None:
    bounds = "queue_rows_max = 4\nspool_rows_max = 2\n"
    with gateway(tmp_path, SERVE + bounds) as running:
        with away(tmp_path):
            served = [running.chat(user="u") for _ in range(2)]
            wait_for(running, ledger_rows_spooled=2, ledger_rows_waiting=0)
            served += [running.chat(user="u") for _ in range(4)]
            full = metrics(running)
            refused = running.chat(user="u")
        after = wait_for(running, ledger_rows_spooled=0, ledger_rows_waiting=0)
        rows = running.rows()

    assert [answer.status for answer in served] == [200] * 6
    assert (full["ledger_rows_spooled"], full["ledger_rows_waiting"]) == (2, 4)
    assert refused.status == 503
    assert {row.id for row in rows} == {answer.json["id"] for answer in served}
    assert after["ledger_rows_committed_total"] == len(rows) == 6


def test_rows_older_than_keep_days_go_and_their_sums_stay(tmp_path: Path) -> None:
    now_us = time.time_ns() // 1000
    ages_days = {"gen-old": 3.5, "gen-young": 1.5}
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    store.append(
        [
            generation(0, id=name, created_at_us=now_us - int(age * DAY_S * 1_000_000))
            for name, age in ages_days.items()
        ]
    )
    store.fold()
    store.close()

    with gateway(tmp_path, "[ledger]\nkeep_days = 2\n") as running:
        deadline = time.monotonic() + WAIT_S
        while len(rows := running.rows()) > 1:
            assert time.monotonic() < deadline, rows
            time.sleep(POLL_S)
        activity = running.get("/api/v1/activity?user=ann").json["data"]

    assert [row.id for row in rows] == ["gen-young"]
    assert sum(day["requests"] for day in activity) == 2


def test_metrics_need_a_management_key(tmp_path: Path) -> None:
    with gateway(tmp_path, SERVE) as running:
        connection = running.connect()
        connection.request("GET", "/metrics")
        nobody = connection.getresponse()
        nobody.read()
        connection.request(
            "GET", "/metrics", headers={"Authorization": f"Bearer {running.keys[0]}"}
        )
        inference = connection.getresponse()
        inference.read()
        connection.close()
        found = metrics(running)

    assert (nobody.status, inference.status) == (401, 403)
    assert found["requests_in_flight"] == 0
    assert found["endpoints_unpriced"] == 0
