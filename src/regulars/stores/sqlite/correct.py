"""Correcting how a row that is already kept ended, in the row and in every sum that counts it."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from typing import Final

from regulars.model.generation import Generation, Outcome
from regulars.stores.sqlite.fold import FOLDED, GROUPED
from regulars.stores.sqlite.rollups import keys_of
from regulars.stores.sqlite.rows import OUTCOME_CODES, find
from regulars.stores.sqlite.slices import Rollup

_COMPLETED: Final = OUTCOME_CODES[Outcome.COMPLETED]
_ENDED: Final = "SELECT outcome, status FROM generation WHERE row = ?"
_END: Final = (
    "UPDATE generation SET outcome = ?, status = ?, "
    "details = json_set(details, '$.error', (SELECT id FROM name WHERE text = ?)) WHERE row = ?"
)


def _recount(table: Rollup) -> str:
    keys, values = ", ".join(keys_of(table)), ", ".join(GROUPED[table])
    # What is still in the tail is folded from the row itself, later.
    unless = " AND NOT EXISTS (SELECT 1 FROM tail WHERE row = ?2)" if table in FOLDED else ""
    return (
        f"UPDATE {table} SET failed = failed + ?1 "
        f"WHERE ({keys}) = (SELECT {values} FROM generation WHERE row = ?2){unless}"
    )


_RECOUNTS: Final = tuple(_recount(table) for table in GROUPED)


def correct(connection: sqlite3.Connection, row: Generation) -> None:
    """Make outcome, status and error those of `row`, inside the open transaction.

    Again changes nothing; a row that is not there stays so.
    """
    number = find(connection, row.id)
    if number is None:
        return
    outcome, status = connection.execute(_ENDED, (number,)).fetchone()
    code = OUTCOME_CODES[row.outcome]
    if (outcome, status) == (code, row.status):
        return
    if row.error is not None:
        connection.execute("INSERT OR IGNORE INTO name (text) VALUES (?)", (row.error,))
    connection.execute(_END, (code, row.status, row.error, number))
    more_failed = int(code != _COMPLETED) - int(outcome != _COMPLETED)
    if more_failed:
        for statement in _RECOUNTS:
            connection.execute(statement, (more_failed, number))
