"""Rows that cannot stand where their id says: foreign ids, and places that are taken."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from regulars.model.generation import Generation
from regulars.stores.base import RowError
from regulars.stores.sqlite.insert import INSERT_ONE
from regulars.stores.sqlite.places import PLACES, bound
from regulars.stores.sqlite.rows import find


def unknown(connection: sqlite3.Connection, rows: Sequence[Generation]) -> list[Generation]:
    """Return the rows whose ids the ledger lacks, each once."""
    by_id: dict[str, Generation] = {}
    for row in rows:
        if row.id not in by_id and find(connection, row.id) is None:
            by_id[row.id] = row
    return list(by_id.values())


def insert_anywhere(
    connection: sqlite3.Connection, row: Generation, values: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Insert a new row at its own place, or at a free one of its microsecond; return it so.

    Raises RowError where the microsecond has no place left.
    """
    place, kept_id, *rest = values
    odd = isinstance(kept_id, str) or _taken(connection, place)
    if odd:
        place = _free_place(connection, row)
        connection.execute("INSERT INTO odd_id (id, row) VALUES (?, ?)", (row.id, place))
    inserted = (place, kept_id, *rest)
    connection.execute(INSERT_ONE, inserted)
    return inserted


def _taken(connection: sqlite3.Connection, place: int) -> bool:
    query = "SELECT 1 FROM generation WHERE row = ?"
    return connection.execute(query, (place,)).fetchone() is not None


def _free_place(connection: sqlite3.Connection, row: Generation) -> int:
    """Return the place after the last one taken, so that rows keep the order they came in."""
    first = bound(row.created_at_us)
    query = "SELECT row FROM generation WHERE row >= ? AND row < ? ORDER BY row DESC"
    around = (first, first + PLACES)
    last = connection.execute(f"{query} LIMIT 1", around).fetchone()
    if last is None:
        return first
    if last[0] + 1 < first + PLACES:
        return int(last[0]) + 1
    taken = {place for (place,) in connection.execute(query, around)}
    free = next((place for place in range(first, first + PLACES) if place not in taken), None)
    if free is None:
        raise RowError(
            f"row {row.id!r}: the ledger already has {PLACES} rows of its microsecond, "
            f"{row.created_at_us}"
        )
    return free
