"""A connection that is kept, and made anew once another file stands in the store's place."""

import sqlite3
from pathlib import Path

from regulars.stores.sqlite.connect import connect


def inode_of(path: Path) -> int | None:
    """Return which file a path leads to now; None where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


class KeptConnection:
    """One connection to the file, for one thread at a time."""

    def __init__(self, path: Path, *pragmas: str) -> None:
        self._path = path
        self._pragmas = pragmas
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None

    def get(self) -> sqlite3.Connection:
        """Return it. Not in a transaction: it may be another than before. Raises sqlite3.Error."""
        inode = inode_of(self._path)
        # One to a file that is gone still answers; for a new one there is nothing to open.
        if self._connection is not None and inode is not None and inode != self._inode:
            self.close()
        if self._connection is None:
            self._connection, self._inode = connect(self._path), inode
            for pragma in self._pragmas:
                self._connection.execute(f"PRAGMA {pragma}")
        return self._connection

    def close(self) -> None:
        """Let go of the file; asked for again, it is opened again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
