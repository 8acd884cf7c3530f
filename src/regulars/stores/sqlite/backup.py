"""A copy of the store while it is in use, whole as of one moment, checked before it counts."""

import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from regulars.stores.base import StoreError
from regulars.stores.sqlite.connect import BACKUP, connect, create_file, store_errors
from regulars.stores.sqlite.verify import verify

PAGES_A_STEP: Final = 4096


def backup(path: Path, target: Path) -> int:
    """Copy the store to a new file and verify the copy; return its size in bytes.

    Writers go on: the copy is of the moment it began. The file gets its name when it is
    complete, verified and on disk.

    Raises:
        StoreError: the target exists or cannot be written, or the copy is not whole.
    """
    if target.exists():
        raise StoreError(f"the backup {str(target)!r} exists: choose another name, or move it away")
    partial = target.with_name(f"{target.name}.{secrets.token_hex(4)}.partial")
    create_file(partial)
    try:
        _copy(path, partial)
        wrong = next(verify(partial), None)
        if wrong is not None:
            raise StoreError(
                f"the copy of {str(path)!r} is not whole ({wrong.table} {wrong.where} {wrong.figure}): "
                "run `regulars ledger verify` on the store itself"
            )
        _sync(partial)
        partial.rename(target)
        return target.stat().st_size
    except OSError as exc:
        raise StoreError(
            f"cannot write the backup {str(target)!r}: {exc.strerror}; check its folder and its disk"
        ) from exc
    finally:
        for name in (partial.name, f"{partial.name}-wal", f"{partial.name}-shm"):
            partial.with_name(name).unlink(missing_ok=True)


def _copy(path: Path, partial: Path) -> None:
    with store_errors(path):
        source = connect(path)
    try:
        with store_errors(partial):
            copy = sqlite3.connect(partial, isolation_level=None)
            try:
                # Holding a snapshot keeps the copy from beginning anew when somebody writes.
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                source.backup(copy, pages=PAGES_A_STEP)
                copy.execute("PRAGMA journal_mode = DELETE")
                copy.execute("INSERT OR REPLACE INTO setting VALUES (?, x'01')", (BACKUP,))
            finally:
                copy.close()
    finally:
        source.close()


def _sync(path: Path) -> None:
    for place, flags in ((path, os.O_RDWR), (path.parent, os.O_RDONLY)):
        descriptor = os.open(place, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
