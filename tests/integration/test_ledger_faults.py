"""The store's file damaged, read-only or of a newer program while rows flow: clear words, no loss."""

import asyncio
import contextlib
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from conformance.stores.ledgers import generation
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerWriter
from regulars.stores.base import Filter, StoreError, StoreVersionError
from regulars.stores.sqlite import SqliteStore, open_store
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

    settings = LedgerSettings(commit_wait_s=0.1, retry_s=0.01)
    late = asyncio.run(session(LedgerWriter(store, settings)))
    store.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    good.rename(store.path)
    restored = open_store(f"sqlite:///{store.path}")
    asyncio.run(session(LedgerWriter(restored, settings)))

    assert late == [False] * 10
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
