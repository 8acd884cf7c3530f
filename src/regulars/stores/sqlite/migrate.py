"""Bringing a file to the schema this program knows; safe with several processes at once."""

import sqlite3
import time
from pathlib import Path
from typing import Final

from regulars.stores.base import StoreError, StoreVersionError
from regulars.stores.sqlite.connect import BACKUP, IS_BACKUP, connect, store_errors
from regulars.stores.sqlite.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION
from regulars.stores.sqlite.stamp import changed

WAL_TRIES: Final = 100
WAL_PAUSE_S: Final = 0.05
"""Switching to WAL needs the file for itself and does not wait by itself: 5 s in all."""


def prepare(path: Path) -> None:
    """Run the migrations the file lacks, and switch it to write-ahead logging.

    Raises:
        StoreVersionError: a newer program wrote it.
        StoreError: it is not ours, or cannot be opened.
    """
    with store_errors(path):
        connection = connect(path)
        try:
            if check(connection, path) == 0:
                # Counts only while the file is empty: lets deleted rows' space be given back.
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            _take_up(connection)
            _switch_to_wal(connection)
            _migrate(connection, path)
        finally:
            connection.close()


def check(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's schema version if it is one for us.

    Raises StoreError, StoreVersionError, sqlite3.Error.
    """
    # First what came in one commit with the rest: another process may be making the file just now.
    objects = _number(connection, "SELECT count(*) FROM sqlite_schema")
    application = _number(connection, "PRAGMA application_id")
    if objects and application != APPLICATION_ID:
        raise StoreError(
            f"the file {str(path)!r} is a SQLite database of another program; "
            "choose another file in [store] url"
        )
    return refuse_newer(connection, path)


def refuse_newer(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's schema version if this program knows it: another may have migrated it.

    Raises StoreVersionError, sqlite3.Error.
    """
    version = _number(connection, "PRAGMA user_version")
    if version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"the store {str(path)!r} has schema version {version}, this program knows up to "
            f"{SCHEMA_VERSION}; upgrade Regulars or choose another file in [store] url"
        )
    return version


def _take_up(connection: sqlite3.Connection) -> None:
    """Note of a backup that it is in use now: in the file itself, before it has a log."""
    has_settings = "SELECT count(*) FROM sqlite_schema WHERE name = 'setting'"
    if _number(connection, has_settings) and connection.execute(IS_BACKUP).fetchone() is not None:
        connection.execute("DELETE FROM setting WHERE name = ?", (BACKUP,))


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    for left in range(WAL_TRIES, 0, -1):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or left == 1:
                raise
            time.sleep(WAL_PAUSE_S)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    if check(connection, path) == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have migrated while this one waited for the lock.
    version = check(connection, path)
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    if version:
        # Programs of before that are running look at the version where the stamp is another.
        changed(connection)
    connection.execute("COMMIT")


def _number(connection: sqlite3.Connection, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)
