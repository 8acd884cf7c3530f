"""Connections for reading: a few, each question bounded in time."""

import sqlite3
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from regulars.stores.base import StoreError, StoreTimeoutError
from regulars.stores.sqlite.connect import store_error
from regulars.stores.sqlite.kept import KeptConnection

READERS_MAX: Final = 4
READER_WAIT_S: Final = 10.0
QUERY_TIME_MAX_S: Final = 10.0
_CHECK_EVERY_STEPS: Final = 10_000
"""SQLite's virtual machine runs this many steps, well under a millisecond, between checks."""


class Readers:
    """Lends read connections to threads; at most READERS_MAX questions at once."""

    def __init__(self, path: Path, *, query_time_max_s: float = QUERY_TIME_MAX_S) -> None:
        self._path = path
        self._query_time_max_s = query_time_max_s
        self._free: list[KeptConnection] = []
        self._places = threading.BoundedSemaphore(READERS_MAX)

    @contextmanager
    def snapshot(self) -> Generator[sqlite3.Connection]:
        """Lend a connection inside one read transaction: all its answers agree."""
        if not self._places.acquire(timeout=READER_WAIT_S):
            raise StoreTimeoutError(
                f"{READERS_MAX} reports are already running on {str(self._path)!r}; try again"
            )
        try:
            kept = self._take()
            finished = False
            try:
                connection = kept.get()
                self._limit(connection)
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
                finished = True
            except sqlite3.Error as exc:
                raise self._error(exc) from exc
            finally:
                # Whatever went wrong, a connection in an unknown state is not lent again.
                if finished:
                    self._free.append(kept)
                else:
                    kept.close()
        finally:
            self._places.release()

    def close(self) -> None:
        """Close the connections nobody uses."""
        while self._free:
            self._free.pop().close()

    def _take(self) -> KeptConnection:
        try:
            return self._free.pop()
        except IndexError:
            # A report over millions of rows sorts in a file: the gateway's memory is bounded.
            return KeptConnection(self._path, "query_only = ON", "temp_store = FILE")

    def _limit(self, connection: sqlite3.Connection) -> None:
        deadline = time.monotonic() + self._query_time_max_s
        connection.set_progress_handler(
            lambda: int(time.monotonic() > deadline), _CHECK_EVERY_STEPS
        )

    def _error(self, exc: sqlite3.Error) -> StoreError:
        if getattr(exc, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            return StoreTimeoutError(
                f"the report on {str(self._path)!r} took longer than {self._query_time_max_s} s; "
                "ask for a shorter time or for one user"
            )
        return store_error(exc, self._path)
