"""While the store is away and the queue is full, rows go to files and come back in order, once."""

import asyncio
import logging
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.stores.ledgers import generation
from regulars.config.settings import LedgerSettings
from regulars.exchange.exchange import withheld
from regulars.ledger import LedgerWriter
from regulars.ledger.spool import write_spool
from regulars.model.errors import UnrecordedError
from regulars.model.generation import Outcome
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore, open_store

ALL = Filter(account="default")
SMALL = LedgerSettings(queue_rows_max=20, retry_s=0.01, commit_wait_s=0.05)


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    opened = open_store(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@contextmanager
def missing(store: SqliteStore) -> Generator[None]:
    away = store.path.with_suffix(".away")
    store.path.rename(away)
    yield
    away.rename(store.path)


async def until_spooled(writer: LedgerWriter, count: int) -> None:
    while writer.spooled < count:  # noqa: ASYNC110 - what is waited for is another thread's
        await asyncio.sleep(0.005)


def spool_files(store: SqliteStore) -> list[Path]:
    return sorted(store.path.parent.glob("*.jsonl"))


def insertion_order(store: SqliteStore) -> list[str]:
    connection = sqlite3.connect(store.path)
    names = connection.execute("SELECT name FROM end_user ORDER BY id").fetchall()
    connection.close()
    return [name for (name,) in names]


def test_a_full_queue_spools_instead_of_refusing_and_drains_in_order(store: SqliteStore) -> None:
    rows = [generation(n, end_user=f"u{n:03d}") for n in range(100)]

    async def session() -> tuple[bool, int]:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        with missing(store):
            futures = [writer.submit(row) for row in rows]
            await asyncio.wait_for(until_spooled(writer, len(rows)), 10)
            kept = await asyncio.gather(*futures)
            room = writer.has_room()
        writer.submit(generation(200, end_user="u999"))
        assert await writer.drain(20) == 0
        left = writer.spooled
        writer.stop()
        return all(kept) and room, left

    went_well, left = asyncio.run(session())

    assert went_well
    assert left == 0
    assert spool_files(store) == []
    assert store.totals(ALL).requests == 101
    assert insertion_order(store) == [*(f"u{n:03d}" for n in range(100)), "u999"]
    assert list(store.verify()) == []


def test_spooled_rows_survive_a_restart_and_are_counted_once(store: SqliteStore) -> None:
    rows = [generation(n) for n in range(50)]

    async def die_with_the_store_away() -> None:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        with missing(store):
            for row in rows:
                writer.submit(row)
            await asyncio.wait_for(until_spooled(writer, len(rows)), 10)
            writer.stop()

    async def start_again() -> None:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        writer.submit(generation(99))
        assert await writer.drain(20) == 0
        writer.stop()

    asyncio.run(die_with_the_store_away())
    (file,) = spool_files(store)
    twice = file.with_name(file.name.replace(".jsonl", "0.jsonl"))
    twice.write_bytes(file.read_bytes())
    asyncio.run(start_again())

    assert spool_files(store) == []
    assert store.totals(ALL).requests == 51
    assert list(store.verify()) == []


def test_the_spool_is_bounded_and_then_the_queue_is_full(store: SqliteStore) -> None:
    settings = LedgerSettings(queue_rows_max=20, retry_s=0.01, spool_rows_max=10)

    async def session() -> tuple[bool, int]:
        writer = LedgerWriter(store, settings)
        writer.start()
        with missing(store):
            for number in range(30):
                writer.submit(generation(number))
            await asyncio.sleep(0.1)
            room, spooled = writer.has_room(), writer.spooled
        assert await writer.drain(10) == 0
        writer.stop()
        return room, spooled

    room, spooled = asyncio.run(session())

    assert not room
    assert spooled <= 10
    assert store.totals(ALL).requests == 30


async def spool_twice(writer: LedgerWriter, store: SqliteStore) -> Path:
    """Have rows spooled into two files, and return the second: the thread has read the first."""
    for count in (20, 40):
        for number in range(count - 20, count):
            writer.submit(generation(number))
        await asyncio.wait_for(until_spooled(writer, count), 10)
    return spool_files(store)[1]


def test_rows_that_another_process_brought_in_are_not_counted_as_spooled(
    store: SqliteStore,
) -> None:
    async def session() -> int:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        with missing(store):
            (await spool_twice(writer, store)).unlink()
        writer.submit(generation(99))
        assert await writer.drain(20) == 0
        left = writer.spooled
        writer.stop()
        return left

    assert asyncio.run(session()) == 0


async def until_no_file(store: SqliteStore, writer: LedgerWriter) -> None:
    """Have rows come until the spool is empty."""
    for number in range(100, 300):
        if not spool_files(store):
            return
        assert await writer.settle(generation(number))
        await asyncio.sleep(0.01)


def test_a_spool_file_that_cannot_be_read_just_now_is_tried_again(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def session() -> None:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        with missing(store):
            file = await spool_twice(writer, store)
            aside = file.with_suffix(".aside")
            file.rename(aside)
            file.mkdir()  # reading it fails for root too
        assert await writer.settle(generation(99))
        file.rmdir()
        aside.rename(file)
        await until_no_file(store, writer)
        writer.stop()

    asyncio.run(session())

    assert "ledger_spool_unreadable" in caplog.text
    assert spool_files(store) == []
    assert store.generation(generation(27).id) is not None
    assert list(store.verify()) == []


def test_a_spool_file_that_cannot_be_removed_does_not_end_the_writer(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def session() -> bool:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        with missing(store):
            await spool_twice(writer, store)
            first = spool_files(store)[0]
            first.unlink()
            first.mkdir()  # its rows are in the thread's hands; removing it fails for root too
        kept = await writer.settle(generation(99))
        first.rmdir()
        await until_no_file(store, writer)
        writer.stop()
        return kept

    assert asyncio.run(session())
    assert "ledger_spool_unreadable" in caplog.text
    assert store.totals(ALL).requests >= 41
    assert spool_files(store) == []


def test_a_row_that_would_be_late_is_in_a_file_before_its_answer_is_served(
    store: SqliteStore,
) -> None:
    settings = LedgerSettings(commit_wait_s=2.0, retry_s=0.05)
    kept: list[str] = []

    async def session() -> list[bool]:
        writer = LedgerWriter(store, settings)
        writer.start()
        with missing(store):
            found = await asyncio.gather(*(writer.settle(generation(n)) for n in range(3)))
            kept.extend(file.read_text() for file in spool_files(store))
        assert await writer.settle(generation(9))
        assert writer.late == 0
        writer.stop()
        return found

    assert asyncio.run(session()) == [True] * 3
    assert all(generation(n).id in "".join(kept) for n in range(3))
    assert store.totals(ALL).requests == 4
    assert spool_files(store) == []


def test_many_small_files_come_in_together(store: SqliteStore) -> None:
    for number in range(300):
        write_spool(store.spool_path, [generation(number)])

    async def session() -> int:
        writer = LedgerWriter(store, LedgerSettings(batch_rows_max=100))
        writer.start()
        assert await writer.settle(generation(999))
        writer.stop()
        return writer.commits

    assert asyncio.run(session()) == 300 // 100 + 1
    assert spool_files(store) == []
    assert store.totals(ALL).requests == 301


def test_where_late_answers_are_refused_their_rows_are_not_spooled(store: SqliteStore) -> None:
    settings = LedgerSettings(commit_wait_s=0.1, retry_s=0.01, when_late="refuse")

    async def session() -> tuple[bool, int]:
        writer = LedgerWriter(store, settings)
        writer.start()
        with missing(store):
            kept = await writer.settle(generation(1))
            spooled = writer.spooled
        await writer.drain(10)
        writer.stop()
        return kept, spooled

    assert asyncio.run(session()) == (False, 0)


def test_late_rows_are_counted(store: SqliteStore) -> None:
    async def session() -> tuple[list[bool], int]:
        unspooled = LedgerSettings(commit_wait_s=0.05, retry_s=0.01, spool_rows_max=0)
        writer = LedgerWriter(store, unspooled)
        writer.start()
        with missing(store):
            late = await asyncio.gather(*(writer.settle(generation(n)) for n in range(3)))
        await writer.drain(10)
        late_rows = writer.late
        writer.stop()
        return late, late_rows

    settled, late = asyncio.run(session())

    assert settled == [False, False, False]
    assert late == 3


def test_a_bad_row_among_spooled_ones_is_set_apart(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "regulars.ledger")
    rows = [generation(n, model="\ud800" if n == 5 else "m") for n in range(40)]

    async def session() -> list[bool]:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        with missing(store):
            futures = [writer.submit(row) for row in rows]
            await asyncio.wait_for(until_spooled(writer, 39), 10)
            results = await asyncio.gather(*futures)
        writer.submit(generation(99))
        await writer.drain(20)
        writer.stop()
        return list(results)

    results = asyncio.run(session())

    assert results.count(True) == 39
    assert store.totals(ALL).requests == 40


def test_a_correction_goes_through_the_spool_and_a_restart_and_counts_once(
    store: SqliteStore,
) -> None:
    late = [generation(n, end_user=f"u{n:03d}") for n in range(10)]
    refused = withheld(late[5], UnrecordedError("late"))

    async def refuse_and_die_with_the_store_away() -> None:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        with missing(store):
            for row in late:
                writer.submit(row)
            await asyncio.wait_for(until_spooled(writer, 10), 10)
            writer.correct(refused)
            writer.stop()

    async def start_again() -> None:
        writer = LedgerWriter(store, SMALL)
        writer.start()
        writer.submit(generation(99, end_user="u999"))
        assert await writer.drain(20) == 0
        writer.stop()

    asyncio.run(refuse_and_die_with_the_store_away())
    files = spool_files(store)
    twice = files[1].with_name(files[1].name.replace(".jsonl", "0.jsonl"))
    twice.write_bytes(files[1].read_bytes())
    asyncio.run(start_again())

    row = store.generation(refused.id)
    assert len(files) == 2
    assert row is not None
    assert (row.outcome, row.status, row.error) == (Outcome.FAILED, 503, "unrecorded")
    assert row.cost == late[5].cost
    assert (store.totals(ALL).requests, store.totals(ALL).failed) == (11, 1)
    assert insertion_order(store) == [*(f"u{n:03d}" for n in range(10)), "u999"]
    assert spool_files(store) == []
    assert list(store.verify()) == []
