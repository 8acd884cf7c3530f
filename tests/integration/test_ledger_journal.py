"""Requests that started and whose process was killed come back as `interrupted`."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from conformance.stores.ledgers import generation
from regulars.config.settings import LedgerSettings
from regulars.exchange.exchange import Accepted
from regulars.ledger import LedgerWriter, journal
from regulars.ledger.journal import Journal, Started, orphans
from regulars.model.catalog import Endpoint, Provider
from regulars.model.generation import CostSource, Outcome, UsageSource
from regulars.model.ids import generation_id
from regulars.model.money import Cost, Price
from regulars.model.tokens import Usage
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore, open_store

TESTS = Path(__file__).parents[1]
ALL = Filter(account="default")
AT_US = 1_760_000_000_000_000
PRICE = Price(prompt=Decimal("0.000001"), completion=Decimal("0.000002"))

WORKER = """
import asyncio, sys
from integration.test_ledger_journal import started
from conformance.stores.ledgers import generation
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerWriter
from regulars.stores.sqlite import open_store

async def main():
    writer = LedgerWriter(open_store(sys.argv[1]), LedgerSettings())
    writer.start()
    for number in range(20):
        writer.started(*started(number))
    for number in range(5):
        accepted, _ = started(number)
        await writer.settle(generation(id=accepted.id, created_at_us=accepted.created_at_us))
    await asyncio.sleep(0.2)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def started(number: int, *, price: Price | None = PRICE, endpoint: str = "alpha/llama") -> Started:
    """A request that goes to an upstream; later numbers are a second later."""
    at_us = AT_US + number * 1_000_000
    accepted = Accepted(
        id=generation_id(at_us, number),
        created_at_us=at_us,
        at_s=0.0,
        account="default",
        key_hash="key-1",
        model="meta/llama",
        streamed=True,
        prompt_bytes=400,
        end_user="ann",
        session=None,
        app=None,
        referer=None,
        user_agent="tests",
    )
    provider = Provider("alpha", "Alpha", "openai", "http://127.0.0.1:1/v1")
    return accepted, Endpoint(endpoint, "meta/llama", provider, "llama-x", price)


def restart(store: SqliteStore) -> None:
    """Start and stop a writer, as the next process does."""

    async def session() -> None:
        writer = LedgerWriter(store, LedgerSettings())
        writer.start()
        assert await writer.settle(generation(99))
        writer.stop()

    asyncio.run(session())


def test_a_killed_process_leaves_its_requests_as_interrupted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, url],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"},
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    store = open_store(url)

    restart(store)
    while_it_lives = store.totals(ALL).requests
    worker.send_signal(signal.SIGKILL)
    worker.communicate(timeout=10)
    restart(store)
    restart(store)
    rows = {row.id: row for row in store.generations(ALL, limit=100, before=None)[0]}
    interrupted = rows[started(7)[0].id]

    assert while_it_lives == 5 + 1
    assert len(rows) == store.totals(ALL).requests == 20 + 1
    assert rows[started(4)[0].id].outcome is Outcome.COMPLETED
    assert interrupted.outcome is Outcome.INTERRUPTED
    assert interrupted.usage == Usage(prompt_tokens=100, completion_tokens=0)
    assert interrupted.usage_source is UsageSource.ESTIMATED
    assert interrupted.cost == Cost(100_000, 100_000, 0, 0)
    assert interrupted.cost_source is CostSource.ESTIMATED
    assert interrupted.price is not None
    assert (interrupted.provider, interrupted.endpoint) == ("Alpha", "alpha/llama")
    assert list(tmp_path.glob("*.journal.*")) == []
    assert list(store.verify()) == []
    store.close()


def test_the_last_endpoint_counts_and_an_unknown_price_stays_unknown(tmp_path: Path) -> None:
    open_: dict[str, Started] = {}
    first, second = started(1), started(1, price=None, endpoint="beta/llama")
    open_[first[0].id] = second
    writer = Journal(tmp_path / "ledger.db.spool", open_)
    writer.add([first, second])
    writer.close(keep=True)

    (orphan,) = orphans(tmp_path / "ledger.db.spool")
    (row,), unreadable = orphan.rows()
    orphan.close()

    assert (row.endpoint, row.cost, unreadable) == ("beta/llama", None, 0)


def test_a_line_cut_by_the_kill_is_left_out(tmp_path: Path) -> None:
    open_ = {started(n)[0].id: started(n) for n in range(3)}
    writer = Journal(tmp_path / "spool", open_)
    writer.add(open_.values())
    writer.close(keep=True)
    (path,) = tmp_path.glob("spool.journal.*")
    path.write_bytes(path.read_bytes()[:-20])

    (orphan,) = orphans(tmp_path / "spool")
    rows, unreadable = orphan.rows()
    orphan.close()

    assert (len(rows), unreadable) == (2, 1)


def test_a_long_journal_is_renewed_with_what_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "JOURNAL_BYTES_MAX", 2_000)
    open_: dict[str, Started] = {}
    writer = Journal(tmp_path / "spool", open_)

    for number in range(500):
        accepted, endpoint = started(number)
        open_[accepted.id] = (accepted, endpoint)
        writer.add([(accepted, endpoint)])
        if number % 50:
            del open_[accepted.id]
    (path,) = tmp_path.glob("spool.journal.*")
    size = path.stat().st_size
    writer.close(keep=True)
    (orphan,) = orphans(tmp_path / "spool")
    rows, _ = orphan.rows()
    orphan.close()

    assert size < 12_000
    assert set(open_) <= {row.id for row in rows}


def test_a_request_that_ended_at_once_is_never_written(tmp_path: Path) -> None:
    writer = Journal(tmp_path / "spool", {})

    writer.add([started(1)])
    writer.close(keep=True)

    assert list(tmp_path.iterdir()) == []


def test_an_orderly_stop_leaves_no_journal(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    while_it_runs: list[Path] = []

    def journals() -> list[Path]:
        return list(tmp_path.glob("*.journal.*"))

    async def session() -> None:
        writer = LedgerWriter(store, LedgerSettings())
        writer.start()
        accepted, endpoint = started(1)
        writer.started(accepted, endpoint)
        await asyncio.sleep(0.1)
        while_it_runs.extend(journals())
        await writer.settle(generation(id=accepted.id, created_at_us=accepted.created_at_us))
        writer.stop()

    asyncio.run(session())

    assert len(while_it_runs) == 1
    assert journals() == []
    assert store.totals(ALL).requests == 1
    store.close()


def test_requests_are_noted_while_another_process_holds_the_store(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    noted: list[set[str]] = []

    def ids_in_journals() -> set[str]:
        texts = [path.read_bytes() for path in tmp_path.glob("*.journal.*")]
        return {
            accepted.id for accepted, _ in later if any(accepted.id.encode() in t for t in texts)
        }

    later = [started(number) for number in range(1, 40)]

    async def session() -> None:
        writer = LedgerWriter(store, LedgerSettings())
        writer.start()
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            kept = asyncio.ensure_future(writer.settle(generation(99)))
            await asyncio.sleep(0.05)  # the writer's thread waits for the lock by now
            for one in later:
                writer.started(*one)
                await asyncio.sleep(0.001)
            for _ in range(100):  # far less than the thread waits
                await asyncio.sleep(0.01)
                if len(ids_in_journals()) == len(later):
                    break
            noted.append(ids_in_journals())
            assert not kept.done()
            other.rollback()
        await kept
        writer.stop()

    asyncio.run(session())
    store.close()

    assert noted == [{accepted.id for accepted, _ in later}]


def test_a_row_that_was_deleted_for_its_age_does_not_come_back(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    done, dead = started(1), started(100)
    row = generation(id=done[0].id, created_at_us=done[0].created_at_us)
    store.append([row])
    leave_journal(store, done, dead)
    while store.tidy(keep_from_us=done[0].created_at_us + 1):
        pass

    restart(store)

    assert store.generation(done[0].id) is None
    assert store.generation(dead[0].id) is not None
    assert store.totals(ALL).requests == 1 + 1 + 1
    assert list(store.verify()) == []
    store.close()


def leave_journal(store: SqliteStore, *requests: Started) -> None:
    """Leave the journal of a process that was killed."""
    journal = Journal(store.spool_path, {accepted.id: (accepted, e) for accepted, e in requests})
    journal.add(requests)
    journal.close(keep=True)
