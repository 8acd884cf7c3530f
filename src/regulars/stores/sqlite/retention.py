"""Deleting old rows, a few at a time, and giving their space back. Rollups keep their sums."""

import sqlite3
from typing import Final

from regulars.stores.sqlite.fold import fold, gather
from regulars.stores.sqlite.places import PLACE_BITS, TIME_MAX_US, bound

DELETE_ROWS_MAX: Final = 500
"""Rows of one transaction: some milliseconds."""

PAGES_FREED_MAX: Final = 200
"""Free pages given back to the disk with each step."""
PAGES_KEPT: Final = 100
"""Free pages that stay for the next rows."""

_OWNED: Final = "SELECT end_user_id, row FROM generation WHERE row <= ? AND end_user_id IS NOT NULL ORDER BY 1, 2"

_DELETED_TO: Final = (
    "SELECT coalesce((SELECT CAST(value AS INTEGER) FROM setting WHERE name = 'rows_from_us'), ?)"
)
_NOTE: Final = (
    "INSERT INTO setting (name, value) VALUES ('rows_from_us', CAST(?1 AS BLOB)) "
    "ON CONFLICT DO UPDATE SET value = CAST(max(CAST(value AS INTEGER), ?1) AS BLOB)"
)


def kept_from_us(connection: sqlite3.Connection) -> int:
    """Return since when no row has been deleted; before all rows where none ever was."""
    (deleted_to,) = connection.execute(_DELETED_TO, (-TIME_MAX_US,)).fetchone()
    return int(deleted_to)


def is_due(connection: sqlite3.Connection, keep_from_us: int) -> bool:
    """Say whether there are rows to delete or pages to give back; takes no lock."""
    query = "SELECT 1 FROM generation WHERE row < ? LIMIT 1"
    found = connection.execute(query, (bound(keep_from_us),)).fetchone()
    return found is not None or _free_pages(connection) > PAGES_KEPT


def delete_some(connection: sqlite3.Connection, keep_from_us: int) -> None:
    """Delete some rows from before a time, oldest first, in the open transaction.

    Rows that are not folded yet are folded first: nothing of their sums is lost.
    """
    rows = _oldest(connection, keep_from_us)
    if rows:
        last = rows[-1]
        fold(connection, 1, gather(connection, last))
        owned = connection.execute(_OWNED, (last,)).fetchall()
        connection.executemany("DELETE FROM by_user WHERE user_id = ? AND row = ?", owned)
        connection.execute("DELETE FROM odd_id WHERE row <= ?", (last,))
        connection.execute("DELETE FROM generation WHERE row <= ?", (last,))
        # What is older than this cannot be compared with its rollups any more (`verify`).
        connection.execute(_NOTE, ((last >> PLACE_BITS) + 1,))
    for _ in range(min(_free_pages(connection) - PAGES_KEPT, PAGES_FREED_MAX)):
        # It frees one page with each step, and the driver takes one step of it.
        connection.execute("PRAGMA incremental_vacuum(1)")


def _free_pages(connection: sqlite3.Connection) -> int:
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(free)


def _oldest(connection: sqlite3.Connection, keep_from_us: int) -> list[int]:
    """Return the first rows from before a time, whole microseconds only."""
    query = "SELECT row FROM generation WHERE row < ? ORDER BY row LIMIT ?"
    before = bound(keep_from_us)
    rows = [row for (row,) in connection.execute(query, (before, DELETE_ROWS_MAX))]
    if not rows:
        return []
    # A row's odd neighbour in the same microsecond goes with it, so that its id is not taken
    # for a new one between two steps.
    end = (rows[-1] >> PLACE_BITS) + 1
    query = "SELECT row FROM generation WHERE row >= ? AND row < ? ORDER BY row"
    return rows + [row for (row,) in connection.execute(query, (rows[-1] + 1, end << PLACE_BITS))]
