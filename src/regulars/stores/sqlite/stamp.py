"""Noticing that people's names changed: what remembers names looks here, once a transaction."""

import sqlite3
from typing import Final

_CHANGED: Final = (
    "INSERT INTO setting (name, value) VALUES ('names-changed', randomblob(16)) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_ERASED: Final = "(SELECT max(number) FROM erasure)"
_NAMED: Final = "(SELECT value FROM setting WHERE name = 'names-changed')"
_STAMP: Final = f"SELECT {_ERASED}, {_NAMED}"
STAMP_IS: Final = f"{_ERASED} IS ? AND {_NAMED} IS ?"
"""Whether a stamp is still that of the store, for a statement that depends on it."""

Stamp = tuple[int | None, bytes | None]
NEVER: Final[Stamp] = (None, None)
"""The stamp of a store in which no name ever changed."""


def stamp(connection: sqlite3.Connection) -> Stamp:
    """Return what differs whenever a name has been changed, merged or erased."""
    return connection.execute(_STAMP).fetchone()


def changed(connection: sqlite3.Connection) -> None:
    """Have every writer and running export look names up anew."""
    connection.execute(_CHANGED)
