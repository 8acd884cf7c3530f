"""The writer over a real store: group commit, lateness, locks, bad rows, spool."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from conformance.stores.ledgers import generation
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerFullError, LedgerWriter
from regulars.ledger.writer import RESERVE_ROWS
from regulars.model.generation import Generation
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore, open_store

ALL = Filter(account="default")
Work = Callable[[LedgerWriter], Coroutine[None, None, None]]


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    opened = open_store(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@contextmanager
def locked(store: SqliteStore) -> Generator[None]:
    """Hold the file's write lock, as another process would."""
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.close()


@contextmanager
def missing(store: SqliteStore) -> Generator[None]:
    """Move the file away, and back."""
    away = store.path.with_suffix(".away")
    store.path.rename(away)
    yield
    away.rename(store.path)


def run(store: SqliteStore, work: Work, settings: LedgerSettings | None = None) -> None:
    async def session() -> None:
        writer = LedgerWriter(store, settings or LedgerSettings(retry_s=0.01))
        writer.start()
        try:
            await asyncio.wait_for(work(writer), 30)
        finally:
            writer.stop()
        await asyncio.sleep(0)  # lets what the thread said last arrive

    asyncio.run(session())


def test_settled_rows_are_durable(store: SqliteStore) -> None:
    async def work(writer: LedgerWriter) -> None:
        settled = await asyncio.gather(*(writer.settle(generation(n)) for n in range(300)))

        assert all(settled)
        assert writer.waiting == 0
        assert store.totals(ALL).requests == 300

    run(store, work)


def test_rows_still_queued_at_stop_are_written(store: SqliteStore) -> None:
    async def work(writer: LedgerWriter) -> None:
        for number in range(1000):
            writer.submit(generation(number))

    run(store, work)

    assert store.totals(ALL).requests == 1000


def test_an_answer_waits_for_its_row_no_longer_than_agreed(store: SqliteStore) -> None:
    async def work(writer: LedgerWriter) -> None:
        with locked(store):
            late = await asyncio.gather(*(writer.settle(generation(n)) for n in range(3)))
            waiting = writer.waiting
        left = await writer.drain(10)

        assert late == [False, False, False]
        assert waiting == 3
        assert left == 0
        assert store.totals(ALL).requests == 3

    run(store, work, LedgerSettings(commit_wait_s=0.05))


def test_a_full_queue_refuses_and_has_no_room(store: SqliteStore) -> None:
    async def work(writer: LedgerWriter) -> None:
        with locked(store):
            writer.submit(generation(0))
            room = writer.has_room()
            for number in range(1, RESERVE_ROWS + 1):
                writer.submit(generation(number))
            with pytest.raises(LedgerFullError, match="ledger_rows_waiting"):
                writer.submit(generation(RESERVE_ROWS + 1))

        assert not room
        assert await writer.drain(20) == 0

    run(store, work, LedgerSettings(queue_rows_max=1))


def test_drain_says_what_is_left(store: SqliteStore) -> None:
    async def work(writer: LedgerWriter) -> None:
        with locked(store):
            writer.submit(generation(1))
            left = await writer.drain(0.05)

        assert left == 1
        assert await writer.drain(10) == 0

    run(store, work)


def test_a_store_that_fails_is_tried_until_it_recovers(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "regulars.ledger")

    async def work(writer: LedgerWriter) -> None:
        with missing(store):
            futures = [writer.submit(generation(n)) for n in range(5)]
            assert await writer.drain(0.2) == 5
        await asyncio.gather(*futures)

    run(store, work)

    waiting, recovered = (record.getMessage() for record in caplog.records)
    assert waiting.startswith("ledger_rows_waiting count=")
    assert "first=gen-00000000" in waiting
    assert "is gone" in waiting
    assert recovered.startswith("ledger_recovered")
    assert store.totals(ALL).requests == 5


def test_a_row_that_can_never_be_kept_stands_alone(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(writer: LedgerWriter) -> None:
        rows = [generation(n, created_at_us=2**80 if n == 13 else n) for n in range(40)]
        results = await asyncio.gather(*map(writer.submit, rows))
        settled = await writer.settle(generation(99, model="\udfff"))

        assert results == [n != 13 for n in range(40)]
        assert not settled

    run(store, work)

    assert store.totals(ALL).requests == 39
    assert "ledger_row_unwritable id=gen-00000013" in caplog.text
    assert "ledger_row_unwritable id=gen-00000099" in caplog.text


def test_what_cannot_be_written_at_stop_is_spooled_and_stored_at_the_next_start(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    known = generation(0)
    rows = [known, *(generation(n, end_user=f"ü{n}") for n in range(1, 30))]
    store.append([known])

    async def fail(writer: LedgerWriter) -> None:
        for row in rows:
            writer.submit(row)

    with missing(store):
        run(store, fail)
    spooled = list(store.path.parent.glob("*.jsonl"))
    mode = spooled[0].stat().st_mode & 0o777

    async def succeed(writer: LedgerWriter) -> None:
        assert await writer.settle(generation(50))

    run(store, succeed)

    assert len(spooled) == 1
    assert mode == 0o600
    assert not spooled[0].exists()
    assert store.totals(ALL).requests == 31
    assert store.generation(rows[7].id) == rows[7]
    assert "ledger_rows_unwritten count=30 ids=gen-00000000,gen-00000001" in caplog.text


def test_an_unreadable_spool_line_is_kept_aside(store: SqliteStore) -> None:
    spool = store.path.with_name("ledger.db.spool.0.jsonl")
    spool.write_bytes(b"not json\n")

    async def work(writer: LedgerWriter) -> None:
        assert await writer.settle(generation(1))

    run(store, work)

    assert not spool.exists()
    assert spool.with_name(spool.name + ".unreadable").read_bytes() == b"not json\n"


def test_futures_say_false_when_the_writer_stops_without_them(store: SqliteStore) -> None:
    async def session() -> asyncio.Future[bool]:
        writer = LedgerWriter(store, LedgerSettings(retry_s=0.01))
        writer.start()
        with missing(store):
            future = writer.submit(generation(1))
            writer.stop()
        await asyncio.sleep(0)
        return future

    future = asyncio.run(session())

    assert future.result() is False


def test_a_caller_that_gives_up_does_not_take_its_row_along(store: SqliteStore) -> None:
    async def work(writer: LedgerWriter) -> None:
        with locked(store):
            settling = asyncio.ensure_future(writer.settle(generation(1)))
            await asyncio.sleep(0)
            settling.cancel()
        assert await writer.drain(10) == 0

    run(store, work)

    assert store.totals(ALL).requests == 1


class Clumsy:
    """A ledger that makes a mistake when it is to tidy up."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.mistakes = 0

    def append(self, rows: Sequence[Generation]) -> None:
        self._store.append(rows)

    def tidy(self, *, keep_from_us: int | None) -> bool:
        self.mistakes += 1
        raise ZeroDivisionError(keep_from_us)

    @property
    def is_pressed(self) -> bool:
        return False

    def kept_from_us(self) -> int:
        return 0


def test_a_mistake_beside_the_rows_does_not_end_the_writer(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    clumsy = Clumsy(store)

    async def session() -> list[bool]:
        writer = LedgerWriter(clumsy, LedgerSettings(retry_s=0.01, commit_wait_s=5.0))
        writer.start()
        kept = [await writer.settle(generation(n)) for n in range(3)]
        writer.stop()
        return kept

    assert asyncio.run(session()) == [True] * 3
    assert clumsy.mistakes > 0
    assert "ledger_writer_mistake" in caplog.text


def test_a_journal_that_may_not_be_read_does_not_end_the_writer(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = store.path.with_name("ledger.db.spool.journal.00ff")
    foreign.mkdir()  # opening it for writing fails for root too

    async def session(writer: LedgerWriter) -> None:
        assert await writer.settle(generation(1))

    run(store, session)

    assert "ledger_journal_unreadable" in caplog.text
