"""Opening connections to the file, and putting SQLite's errors into words that help."""

import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from regulars.stores.base import StoreError

BUSY_TIMEOUT_S: Final = 5.0
"""How long to wait for another process's write before the store counts as locked."""

CACHE_KIB: Final = 8192
"""Pages a connection keeps. With 32 MiB a row cost the same CPU at 400,000 rows (82 against 80 µs in
batches of 16), and memory grew for a quarter of an hour, on each of the five connections."""
STATEMENTS_MAX: Final = 256
CHECKPOINT_PAGES: Final = 8192
"""32 MiB of write-ahead log between checkpoints: a page many batches touch is copied once."""

JOURNAL_LIMIT_BYTES: Final = 67_108_864
"""What the write-ahead log is cut back to after a long reader let it grow."""

FILE_MODE: Final = 0o600

BACKUP: Final = "backup"
IS_BACKUP: Final = f"SELECT 1 FROM setting WHERE name = '{BACKUP}'"  # noqa: S608
"""Whether a file is as `backup` wrote it, never in use since."""

_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: "locked by another process: end the one that holds it, or wait",
    sqlite3.SQLITE_LOCKED: "locked by another process: end the one that holds it, or wait",
    sqlite3.SQLITE_FULL: "out of space: free some on its disk",
    sqlite3.SQLITE_IOERR: "not readable or writable just now: check its disk and free space",
    sqlite3.SQLITE_READONLY: "read-only: give this user write permission to it and its folder",
    sqlite3.SQLITE_PERM: "not permitted: give this user access to it and its folder",
    sqlite3.SQLITE_CANTOPEN: "gone or not accessible: put it back, check its folder's permissions",
    sqlite3.SQLITE_CORRUPT: "damaged: restore a backup, or rescue it with `sqlite3 FILE .recover`",
    sqlite3.SQLITE_NOTADB: "not a SQLite database: check [store] url",
    sqlite3.SQLITE_AUTH: "not permitted: give this user access to it and its folder",
}


def connect(path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """Open the existing file for reading and writing, durable and with foreign keys.

    The connection may be used by any thread, by one at a time, and begins transactions only
    when told to.

    Raises:
        StoreError: the log beside it is another file's.
        sqlite3.Error: it cannot be opened.
    """
    _refuse_foreign_log(path)
    connection = sqlite3.connect(
        f"{_uri(path)}?mode=rw",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_MAX,
    )
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # A statement of many rows keeps an undo journal: in memory, or as a file each time.
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {JOURNAL_LIMIT_BYTES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _refuse_foreign_log(path: Path) -> None:
    """Notice a backup that was put in the file's place beside the log of the file before.

    SQLite would write that log's pages into the backup, which is the end of both. Here it is looked
    at without its log. Reading the file ourselves would not do: closing it afterwards drops every
    lock that SQLite's connections of this process hold on it (POSIX).
    """
    log = path.with_name(f"{path.name}-wal")
    try:
        if not log.stat().st_size:
            return
    except OSError:
        return
    try:
        alone = sqlite3.connect(f"{_uri(path)}?mode=ro&immutable=1", uri=True)
        try:
            is_backup = alone.execute(IS_BACKUP).fetchone() is not None
        finally:
            alone.close()
    except sqlite3.Error:
        return  # opening says what is wrong with it
    if is_backup:
        raise StoreError(
            f"the store {str(path)!r} is a backup in the place of another file, whose log is "
            f"still there: delete {str(log)!r} and {str(path.with_name(path.name + '-shm'))!r}, "
            "which belong to that other file"
        )


def _uri(path: Path) -> str:
    return f"file:{quote(str(path))}"


def create_file(path: Path) -> None:
    """Make the folder and an empty file only its owner can read, unless it is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One that is there is not opened: closing it would drop the locks that other connections
        # of this process hold on it (POSIX).
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    except FileExistsError:
        return
    except OSError as exc:
        raise StoreError(
            f"cannot open the store {str(path)!r}: {exc.strerror}; "
            "check [store] url and the folder's permissions"
        ) from exc


@contextmanager
def store_errors(path: Path) -> Generator[None]:
    """Turn what SQLite raises inside into StoreError."""
    try:
        yield
    except sqlite3.Error as exc:
        raise store_error(exc, path) from exc


def store_error(exc: sqlite3.Error, path: Path) -> StoreError:
    """Say what is wrong, with which file, and what helps."""
    # Errors of the driver itself carry no code.
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    advice = _ADVICE.get(code, "check the file and its disk")
    return StoreError(
        f"the store {str(path)!r} is {advice} ({exc})"
        if code in _ADVICE
        else f"the store {str(path)!r} failed: {exc}; {advice}"
    )
