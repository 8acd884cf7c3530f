"""The store's file damaged, locked, full, slow, read-only or newer while rows flow: no row is lost."""

import asyncio
import contextlib
import logging
import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest

from conformance.stores.ledgers import generation
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerWriter
from regulars.model.generation import Generation
from regulars.stores.base import Filter, StoreError, StoreVersionError
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.ledger import LOCK_WAIT_S
from regulars.stores.sqlite.schema import SCHEMA_VERSION

ALL = Filter(account="default")

NOBODY = 65534


def damage(path: Path) -> None:
    """Overwrite the middle of the file, as a failing disk would."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def replace_by_newer(path: Path) -> None:
    """Put a file of a newer program in its place."""
    newer = path.with_suffix(".newer")
    open_store(f"sqlite:///{newer}").close()
    connection = sqlite3.connect(newer, isolation_level=None)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    newer.rename(path)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (damage, "damaged: restore a backup"),
        (replace_by_newer, "upgrade Regulars"),
        (Path.unlink, "is gone: put the file back"),
    ],
    ids=["damaged", "newer", "deleted"],
)
def test_a_lost_file_is_named_and_its_rows_are_spooled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: Callable[[Path], None], told: str
) -> None:
    caplog.set_level(logging.WARNING, "regulars.ledger")
    good = tmp_path / "good.db"
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(n, end_user=f"u{n}") for n in range(200)])
    store.backup(good)
    store.close()
    harm(store.path)
    rows = [generation(n, end_user=f"u{n}") for n in range(500, 510)]

    async def session(writer: LedgerWriter) -> list[bool]:
        writer.start()
        settled = await asyncio.gather(*(writer.settle(row) for row in rows))
        writer.stop()
        return settled

    settings = LedgerSettings(commit_wait_s=2.0, retry_s=0.01)
    kept = asyncio.run(session(LedgerWriter(store, settings)))
    store.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    good.rename(store.path)
    restored = open_store(f"sqlite:///{store.path}")
    asyncio.run(session(LedgerWriter(restored, settings)))

    assert kept == [True] * 10
    assert told in caplog.text
    assert restored.totals(ALL).requests == 210
    assert list(tmp_path.glob("*.jsonl")) == []
    assert list(restored.verify()) == []
    restored.close()


@contextlib.contextmanager
def as_nobody() -> Generator[None]:
    """Put root's powers aside: root may write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_file_says_what_to_change() -> None:
    # Not below pytest's own folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="regulars-read-only-"))
    store = open_store(f"sqlite:///{folder}/ledger.db")
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o444)

    with as_nobody(), pytest.raises(StoreError, match=r"read-only|not permitted|not accessible"):
        store.append([generation(1)])
    for file in folder.iterdir():
        file.chmod(0o600)
    store.append([generation(1)])

    assert store.totals(ALL).requests == 1
    store.close()
    shutil.rmtree(folder)


def test_a_store_made_newer_is_refused_where_it_is_opened(tmp_path: Path) -> None:
    store: SqliteStore = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.close()
    replace_by_newer(store.path)

    with pytest.raises(StoreVersionError, match="upgrade Regulars"):
        open_store(f"sqlite:///{store.path}")


async def kept_after(
    writer: LedgerWriter, rows: list[Generation], *, lift: Callable[[], object]
) -> list[bool]:
    """Settle rows while something is wrong, lift it, and wait until the store has them all."""
    writer.start()
    settled = await asyncio.gather(*(writer.settle(row) for row in rows))
    lift()
    assert await writer.drain(20) == 0
    while writer.spooled:  # noqa: ASYNC110 - what is waited for is another thread's
        await asyncio.sleep(0.005)
    writer.stop()
    return settled


def test_a_file_that_may_not_grow_says_so_and_its_rows_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "regulars.ledger")
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(n) for n in range(10)])
    rows = [generation(n, session="s" * 500) for n in range(100, 300)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal_of(store).stat().st_size + 8192, hard))

    def lift() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    try:
        writer = LedgerWriter(store, LedgerSettings(commit_wait_s=0.2, retry_s=0.01))
        settled = asyncio.run(kept_after(writer, rows, lift=lift))
    finally:
        lift()

    assert not any(settled)
    assert "check its disk and free space" in caplog.text
    assert "ledger_recovered" in caplog.text
    assert store.totals(ALL).requests == 210
    assert list(store.verify()) == []
    store.close()


def wal_of(store: SqliteStore) -> Path:
    return store.path.with_name(store.path.name + "-wal")


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """Mount a disk of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("no disk may be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_says_so_and_its_rows_wait_for_space(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "regulars.ledger")
    ballast = small_disk / "ballast"
    rows = [generation(n, session="s" * 500) for n in range(100)]

    with contextlib.closing(open_store(f"sqlite:///{small_disk}/ledger.db")) as store:
        store.append([generation(1000)])
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:  # bounded by the disk
                file.write(bytes(4096))
        writer = LedgerWriter(store, LedgerSettings(commit_wait_s=0.2, retry_s=0.01))
        settled = asyncio.run(kept_after(writer, rows, lift=ballast.unlink))
        kept = store.totals(ALL).requests
        differences = list(store.verify())

    assert not all(settled)
    assert "out of space: free some on its disk" in caplog.text
    assert kept == 101
    assert differences == []


def test_a_lock_that_stays_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "regulars.ledger")
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def lift() -> None:
        other.close()

    settings = LedgerSettings(commit_wait_s=LOCK_WAIT_S + 1.0, retry_s=0.01)
    writer = LedgerWriter(store, settings)
    settled = asyncio.run(kept_after(writer, [generation(1)], lift=lift))

    assert settled == [True]
    assert "ledger_rows_spooled count=1" in caplog.text
    assert "locked by another process: end the one that holds it" in caplog.text
    assert store.totals(ALL).requests == 1
    store.close()


class SlowDisk:
    """A ledger on a disk that takes its time for every commit."""

    def __init__(self, store: SqliteStore, commit_s: float) -> None:
        self._store = store
        self._commit_s = commit_s
        self.batches: list[int] = []

    def append(self, rows: Sequence[Generation]) -> None:
        time.sleep(self._commit_s)
        self.batches.append(len(rows))
        self._store.append(rows)


def test_on_a_slow_disk_batches_grow_and_waits_are_bounded(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    slow = SlowDisk(store, commit_s=0.3)
    rows = [generation(n) for n in range(200)]

    writer = LedgerWriter(slow, LedgerSettings(commit_wait_s=0.05), spool=store.spool_path)
    began = time.monotonic()
    settled = asyncio.run(kept_after(writer, rows, lift=lambda: None))

    assert not any(settled)
    assert writer.late == 200
    assert len(slow.batches) <= 2
    assert time.monotonic() - began < 10
    assert store.totals(ALL).requests == 200
    store.close()
