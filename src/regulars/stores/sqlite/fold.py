"""Folding the tail: rows that what is kept per user lacks yet are added to it, user by user.

A batch of a dozen rows would touch some forty pages, one for each row's user in each tree. A few
thousand rows in the order of their users touch far fewer each, and may be taken in short steps
that hold up no writer, as long as the order is kept: neighbours share pages. Each step is one
transaction, so a row is folded or in the tail, never both, whatever dies when.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections.abc import Sequence
from typing import Final

from regulars.stores.sqlite.chunks import cut
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.places import PLACE_BITS
from regulars.stores.sqlite.rollups import (
    BLOCK_DAYS,
    DAY_US,
    HOUR_US,
    PAIR_DAYS,
    QUARTER_US,
    ROW_SUMS,
    upsert_head,
    upsert_tail,
)
from regulars.stores.sqlite.slices import Rollup

FOLD_ROWS: Final = 4096
"""So many rows a process adds before it folds; every question about users reads the tail."""

STEP_ROWS: Final = 256
"""Rows of one step: a few milliseconds."""

_DAY: Final = f"row / {DAY_US << PLACE_BITS}"
_USER: Final = f"coalesce(end_user_id, {NOBODY_ID})"
_WORDS: Final = (
    "model_id",
    f"coalesce(endpoint_id, {NOBODY_ID})",
    f"coalesce(provider_id, {NOBODY_ID})",
    "key_id",
)

GROUPED: Final[dict[Rollup, tuple[str, ...]]] = {
    "daily": (
        "account_id",
        _DAY,
        _USER,
        *_WORDS,
    ),
    "pairs": ("account_id", f"({_DAY}) / {PAIR_DAYS}", _USER),
    "blocks": ("account_id", f"({_DAY}) / {BLOCK_DAYS}", _USER),
    "hourly": ("account_id", f"row / {HOUR_US << PLACE_BITS}", *_WORDS),
    "quarters": ("account_id", f"row / {QUARTER_US << PLACE_BITS}", *_WORDS),
}
"""The key columns of a rollup as expressions over `generation`."""


def rolled_up(table: Rollup, rows: str) -> str:
    """Return the SELECT of a rollup's rows, in its columns' order, from rows of `generation`."""
    keys = ", ".join(GROUPED[table])
    sums = ", ".join(f"sum({value})" for value in ROW_SUMS)
    numbers = ", ".join(str(number + 1) for number in range(len(GROUPED[table])))
    return f"SELECT {keys}, {sums}, max(row >> {PLACE_BITS}) FROM {rows} GROUP BY {numbers}"


FOLDED: Final = ("daily", "pairs", "blocks", "quarters")
# The inner join is with the tail: another process may have folded a row meanwhile. The step's own
# order is that of the users, so nothing is sorted or grouped: a group met twice is added to twice.
_STEP: Final = "temp.step CROSS JOIN tail USING (row) CROSS JOIN generation USING (row)"
_FOLD_USERS: Final = (
    f"INSERT INTO by_user (user_id, row) SELECT end_user_id, row FROM {_STEP} "
    "WHERE end_user_id IS NOT NULL"
)
_STATEMENTS: Final = (
    _FOLD_USERS,
    *(
        f"{upsert_head(table)} SELECT {', '.join((*GROUPED[table], *ROW_SUMS))}, "
        f"row >> {PLACE_BITS} FROM {_STEP} WHERE true {upsert_tail(table)}"
        for table in FOLDED
    ),
    "DELETE FROM tail WHERE row IN (SELECT row FROM temp.step)",
)
_BY_USER: Final = "SELECT row FROM tail CROSS JOIN generation USING (row) ORDER BY end_user_id, row"


def due(connection: sqlite3.Connection) -> list[int]:
    """Return the tail's rows in the order in which they are best folded."""
    return [row for (row,) in connection.execute(_BY_USER)]


def unfolded(connection: sqlite3.Connection) -> int:
    """Count the rows of the tail."""
    (count,) = connection.execute("SELECT count(*) FROM tail").fetchone()
    return int(count)


def fold(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Fold these rows inside the open transaction; those another process has folded are skipped."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS step (number INTEGER PRIMARY KEY, row INTEGER NOT NULL)"
    )
    connection.execute("DELETE FROM temp.step")
    for chunk in cut(rows):
        places = ", ".join(["(?)"] * len(chunk))
        connection.execute(f"INSERT INTO temp.step (row) VALUES {places}", chunk)
    for statement in _STATEMENTS:
        connection.execute(statement)
