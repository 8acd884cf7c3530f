"""A backup put in the store's place, under a running program and before one starts."""

import logging
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from conformance.stores.ledgers import generation
from integration.test_sqlite_migrations import as_the_first_schema
from regulars.model.caller import ApiKey, Role
from regulars.stores.base import Filter, StoreError
from regulars.stores.sqlite import SqliteStore, open_store

ALL = Filter(account="default")


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    """A store in use: a backup of 30 rows beside it, 30 more in the file, 10 more in its log."""
    opened = open_store(f"sqlite:///{tmp_path}/ledger.db")
    opened.create_key(key("early"))
    opened.append([generation(n, end_user=f"early-{n}") for n in range(30)])
    opened.backup(tmp_path / "backup.db")
    opened.create_key(key("late"))
    opened.append([generation(n, end_user=f"late-{n}") for n in range(100, 130)])
    with closing(sqlite3.connect(opened.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.append([generation(n, end_user=f"last-{n}") for n in range(200, 210)])
    yield opened
    opened.close()


def key(name: str) -> ApiKey:
    return ApiKey(name, name, "sk-…", Role.INFERENCE, "default", 0)


def put_back(store: SqliteStore) -> None:
    store.path.with_name("backup.db").rename(store.path)


def forget_log(store: SqliteStore) -> None:
    for end in ("-wal", "-shm"):
        store.path.with_name(store.path.name + end).unlink()


def test_a_running_store_takes_up_a_backup_once_the_old_log_is_gone(store: SqliteStore) -> None:
    assert store.totals(ALL).requests == 70
    put_back(store)

    with pytest.raises(StoreError, match=r"delete '.*ledger\.db-wal' and '.*-shm'"):
        store.append([generation(300)])
    with pytest.raises(StoreError, match="belong to that other file"):
        store.totals(ALL)
    forget_log(store)
    store.append([generation(300)])

    assert store.totals(ALL).requests == 31
    assert store.find_key("early") is not None
    assert store.find_key("late") is None
    assert list(store.verify()) == []
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_store_is_not_opened_beside_the_log_of_another(store: SqliteStore) -> None:
    put_back(store)

    with pytest.raises(StoreError, match="belong to that other file"):
        open_store(f"sqlite:///{store.path}")
    forget_log(store)

    with closing(open_store(f"sqlite:///{store.path}")) as again:
        assert again.totals(ALL).requests == 30
        assert list(again.verify()) == []


def test_a_backup_of_an_older_schema_is_migrated_where_it_is_taken_up(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    backup = store.path.with_name("backup.db")
    as_the_first_schema(backup)
    put_back(store)
    forget_log(store)

    store.append([generation(300)])

    assert store.totals(ALL).requests == 31
    assert list(store.verify()) == []
