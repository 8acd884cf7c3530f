"""The log beside the store: kept short while rows are committed, and whole wherever it is cut."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from conformance.stores.ledgers import generation
from fakes.upstream_call import until
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerWriter
from regulars.ledger.checkpointer import EVERY_ROWS, Checkpointer
from regulars.model.generation import Generation
from regulars.stores.base import Filter, StoreError
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.fold import FOLD_ROWS, PRESSED_ROWS, STEP_PACE, STEP_ROWS

ALL = Filter(account="default")
CUTS = 12


def rows(first: int, count: int) -> list[Generation]:
    return [generation(n, end_user=f"u{n % 97}") for n in range(first, first + count)]


def opened(folder: Path) -> SqliteStore:
    return open_store(f"sqlite:///{folder}/ledger.db")


def log_of(folder: Path) -> Path:
    return folder / "ledger.db-wal"


def test_a_checkpoint_beside_the_writer_brings_the_log_into_the_file(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.append(rows(0, 2000))
    before = (tmp_path / "ledger.db").stat().st_size

    store.checkpoint()
    store.append(rows(2000, 10))

    assert (tmp_path / "ledger.db").stat().st_size > before + 2000 * 100
    assert store.totals(ALL).requests == 2010
    assert list(store.verify()) == []
    store.close()


def test_a_checkpoint_of_a_store_that_is_away_says_so_and_works_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.append(rows(0, 10))
    store.checkpoint()
    aside = tmp_path / "aside"
    (tmp_path / "ledger.db").rename(aside)

    with pytest.raises(StoreError, match="gone"):
        store.checkpoint()
    aside.rename(tmp_path / "ledger.db")
    store.checkpoint()

    store.close()


def test_the_writer_has_checkpoints_made_beside_it(tmp_path: Path) -> None:
    store = opened(tmp_path)
    size = (tmp_path / "ledger.db").stat().st_size

    async def work() -> None:
        writer = LedgerWriter(store, LedgerSettings())
        writer.start()
        await asyncio.gather(*(writer.settle(row) for row in rows(0, EVERY_ROWS)))
        async with asyncio.timeout(10):
            await until(lambda: (tmp_path / "ledger.db").stat().st_size > size)
        writer.stop()

    asyncio.run(work())

    assert store.totals(ALL).requests == EVERY_ROWS
    store.close()


def test_a_fold_keeps_pace_with_the_rows_that_come(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.append(rows(0, FOLD_ROWS))
    store.tidy(keep_from_us=None)
    written = store.written
    steps: list[int] = []

    for few in (1, 1, 10, 0):
        store.append(rows(written, few))
        store.tidy(keep_from_us=None)
        steps.append(store.written - written - few)
        written = store.written

    # At most twice as many as came; fewer where this machine takes more than a step's time for them.
    assert steps[0] == steps[1] == steps[3] == STEP_ROWS[0]
    assert STEP_ROWS[0] <= steps[2] <= STEP_PACE * 10
    assert list(store.verify()) == []
    store.close()


def test_what_is_folded_calls_for_checkpoints_too(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.append(rows(0, FOLD_ROWS))
    store.checkpoint()
    checkpoints = Checkpointer(store)
    size = (tmp_path / "ledger.db").stat().st_size

    store.fold()
    checkpoints.start()
    deadline = time.monotonic() + 10.0
    while (tmp_path / "ledger.db").stat().st_size <= size and time.monotonic() < deadline:
        time.sleep(0.01)
    checkpoints.stop()

    assert (tmp_path / "ledger.db").stat().st_size > size
    store.close()


def test_a_log_cut_anywhere_by_a_power_loss_leaves_a_whole_ledger(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.append(rows(0, FOLD_ROWS))
    store.checkpoint()
    while store.tidy(keep_from_us=None):
        store.append(rows(store.count_rows(), 3))
    log = log_of(tmp_path).read_bytes()
    kept: list[int] = []

    for cut in range(CUTS + 1):
        folder = tmp_path / str(cut)
        folder.mkdir()
        shutil.copy(tmp_path / "ledger.db", folder)
        log_of(folder).write_bytes(log[: len(log) * cut // CUTS])
        copy = opened(folder)
        kept.append(copy.count_rows())
        assert list(copy.verify()) == []
        copy.close()

    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (FOLD_ROWS, store.count_rows())
    store.close()


def test_a_store_is_pressed_while_too_much_is_to_be_folded(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for first in range(0, PRESSED_ROWS, FOLD_ROWS):
        store.append(rows(first, FOLD_ROWS))
    pressed = store.is_pressed

    store.tidy(keep_from_us=None)
    more = store.tidy(keep_from_us=None)

    assert pressed
    assert more
    assert not store.is_pressed
    assert list(store.verify()) == []
    store.close()
