"""Folding the tail: rows that what is kept per user lacks yet are added to it, user by user.

A batch of a dozen rows would touch some forty pages, one for each row's user in each tree. A few
thousand rows in the order of their users touch far fewer each, and may be taken in short steps
that hold up no writer, as long as the order is kept: neighbours share pages. Each step is one
transaction, so a row is folded or in the tail, never both, whatever dies when. The order lies in
a temporary table of the connection: fetching it row by row would hand over the interpreter's
lock as often.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from typing import Final

from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.places import PLACE_BITS, ROW_MAX
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
from regulars.stores.sqlite.schema import ROLLED_COLUMNS
from regulars.stores.sqlite.slices import Rollup

FOLD_ROWS: Final = 4096
"""So many rows a process adds before it folds; every question about users reads the tail."""

PRESSED_ROWS: Final = 32_768
"""So many are not folded where rows come without a pause: now rows wait for the fold. The more lie
in the tail, the more of them share a page: at 5 M rows of 100,000 users 4096 touch one page each
of `by_user` alone, so many a third of one."""

STEP_S: Final = 0.001
"""What a step is to take: rows that come meanwhile wait so long."""
STEP_ROWS: Final = range(8, 65)
"""Rows of one step: 64 in a millisecond in a small ledger, fewer where each needs pages of its own."""

STEP_PACE: Final = 2
"""Rows of a step for each that came since the step before: a fold is done before the next is due."""

PRESSED_STEP_ROWS: Final = 512
"""Rows of one step where rows wait anyway."""

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
    "days": ("account_id", _DAY, _USER),
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


FOLDED: Final = ("daily", "days", "pairs", "blocks", "quarters")
# The inner join is with the tail: another process may have folded a row meanwhile.
_COLUMNS: Final = (
    "row, account_id, key_id, outcome, model_id, end_user_id, provider_id, endpoint_id, "
    "prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, "
    "cost_nanousd, cost_prompt_nanousd, cache_saving_nanousd, ttft_ms, duration_ms"
)
_STEP: Final = f"CREATE TEMP TABLE IF NOT EXISTS step ({_COLUMNS})"
# Once a step, not once a tree: looking a row up takes as long as adding it to one of them.
_TAKE: Final = (
    f"INSERT INTO temp.step SELECT {_COLUMNS} FROM temp.due CROSS JOIN tail USING (row) "
    "CROSS JOIN generation USING (row) WHERE number BETWEEN ? AND ?"
)
OWN_FIGURES: Final = {
    "duration_us": "CAST(duration_ms * 1000 + 0.5 AS INTEGER)",
    "ttft_us": "CAST(ttft_ms * 1000 + 0.5 AS INTEGER)",
    "own_completion_tokens": "completion_tokens",
}
"""What `by_user` has of each row, as expressions over `generation`; no name is in both."""

_FOLD_USERS: Final = (
    f"INSERT INTO by_user (user_id, row, {', '.join(OWN_FIGURES)}) "
    f"SELECT end_user_id, row, {', '.join(OWN_FIGURES.values())} FROM temp.step "
    "WHERE end_user_id IS NOT NULL"
)
# Users come back within a step, so what their days come to is added up once, for three trees; and a
# step's rows are nearly all of one quarter.
_PERSON: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS person (account_id, day, end_user_id, "
    f"{', '.join(ROLLED_COLUMNS)}, last_us)"
)
_ADD_UP: Final = f"INSERT INTO temp.person {rolled_up('days', 'temp.step')}"
_BY_PERSON: Final[dict[Rollup, str]] = {
    "days": "day",
    "pairs": f"day / {PAIR_DAYS}",
    "blocks": f"day / {BLOCK_DAYS}",
}


def _from_step(table: Rollup) -> str:
    values = ", ".join((*GROUPED[table], *ROW_SUMS))
    return (
        f"{upsert_head(table)} SELECT {values}, row >> {PLACE_BITS} FROM temp.step WHERE true "
        f"{upsert_tail(table)}"
    )


def _from_person(table: Rollup, unit: str) -> str:
    return (
        f"{upsert_head(table)} SELECT account_id, {unit}, end_user_id, {', '.join(ROLLED_COLUMNS)}, "
        f"last_us FROM temp.person WHERE true {upsert_tail(table)}"
    )


_STATEMENTS: Final = (
    _FOLD_USERS,
    _from_step("daily"),
    _ADD_UP,
    *(_from_person(table, unit) for table, unit in _BY_PERSON.items()),
    (
        f"{upsert_head('quarters')} {rolled_up('quarters', 'temp.step WHERE true')} "
        f"{upsert_tail('quarters')}"
    ),
    "DELETE FROM tail WHERE row IN (SELECT row FROM temp.step)",
    "DELETE FROM temp.step",
    "DELETE FROM temp.person",
)
_DUE: Final = (
    "CREATE TEMP TABLE IF NOT EXISTS due (number INTEGER PRIMARY KEY, row INTEGER NOT NULL)"
)
_BY_USER: Final = (
    "INSERT INTO temp.due (row) SELECT row FROM tail CROSS JOIN generation USING (row) "
    "WHERE row <= ? ORDER BY end_user_id, row"
)


def gather(connection: sqlite3.Connection, last: int = ROW_MAX) -> int:
    """Line up the tail's rows, up to a row's number, as they are best folded; return how many.

    They are numbered from 1; those of an earlier call are forgotten.
    """
    connection.execute(_DUE)
    connection.execute(_STEP)
    connection.execute(_PERSON)
    connection.execute("DELETE FROM temp.due")
    return connection.execute(_BY_USER, (last,)).rowcount


def unfolded(connection: sqlite3.Connection) -> int:
    """Count the rows of the tail."""
    (count,) = connection.execute("SELECT count(*) FROM tail").fetchone()
    return int(count)


def fold(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Fold gathered rows by their numbers, inside the open transaction.

    Those another process has folded meanwhile are skipped.
    """
    connection.execute(_TAKE, (first, last))
    for statement in _STATEMENTS:
        connection.execute(statement)
