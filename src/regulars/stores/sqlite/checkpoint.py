"""Moving the write-ahead log's pages into the file, beside the connection that commits rows.

SQLite does it within the commit that fills the log: rows then wait for the copying of 32 MiB and
two syncs. Here it is done in small parts on another connection, while commits go on. The commit
that finds the log full still starts it anew, but has next to nothing left to copy. What is
durable does not change: a page is copied only once the log that holds it is synced.
"""

import sqlite3
from pathlib import Path
from typing import Final

from regulars.stores.sqlite.connect import store_errors
from regulars.stores.sqlite.kept import KeptConnection

_CHECKPOINT: Final = "PRAGMA wal_checkpoint(PASSIVE)"


class SqliteCheckpoints:
    """One connection, for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = KeptConnection(path)

    def checkpoint(self) -> None:
        """See `stores.base.Checkpointing`."""
        with store_errors(self._path):
            try:
                if not self._path.exists():  # one that is kept would say nothing of it
                    self.close()
                self._connection.get().execute(_CHECKPOINT).fetchone()
            except sqlite3.Error:
                self.close()
                raise

    def close(self) -> None:
        """Let go of the file; a later checkpoint opens it again."""
        self._connection.close()
