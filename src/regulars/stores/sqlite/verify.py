"""Is the ledger whole? Rollups are added up anew from rows, and costs computed anew from prices."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from regulars.stores.base import Difference
from regulars.stores.sqlite.connect import connect, store_error, store_errors
from regulars.stores.sqlite.costs import recomputed
from regulars.stores.sqlite.fold import GROUPED, OWN_FIGURES, rolled_up
from regulars.stores.sqlite.places import bound
from regulars.stores.sqlite.retention import kept_from_us
from regulars.stores.sqlite.rollups import keys_of
from regulars.stores.sqlite.schema import ROLLED_COLUMNS
from regulars.stores.sqlite.slices import UNIT_US, Rollup
from regulars.stores.sqlite.spendings import BILLED_OF_ROWS, BYOK_OF_ROWS

_BILLED_FIGURES: Final = (
    "account_id", "key_id", "model_id", "end_user_id", "provider_id", "endpoint_id", "nanousd",
)  # fmt: skip
_BILLED_KEPT: Final = f"SELECT row, {', '.join(_BILLED_FIGURES)} FROM billed ORDER BY row"
_BYOK_KEPT: Final = "SELECT key_id, hour, account_id, nanousd FROM byok ORDER BY 1, 2, 3"
_FOLDED_ROWS: Final = "generation WHERE row NOT IN (SELECT row FROM tail)"


def verify(path: Path) -> Iterator[Difference]:
    """Yield what does not agree, as the file stands at one moment; writers are not held up.

    Where retention has deleted rows, rollups of times before the first whole unit that is left
    cannot be compared: they are passed over.

    Raises:
        StoreError: the file cannot be read.
    """
    with store_errors(path):
        connection = connect(path)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield from _differences(connection)
        except sqlite3.DatabaseError as exc:
            # What was found so far is not lost with it.
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise
            yield Difference("file", "", "damage", None, str(store_error(exc, path)))
        finally:
            connection.close()


def _differences(connection: sqlite3.Connection) -> Iterator[Difference]:
    yield from _damage(connection)
    for table in GROUPED:
        yield from _rollup(connection, table)
    yield from _byok(connection)
    yield from _billed(connection)
    yield from _index(connection)
    yield from recomputed(connection)


def _damage(connection: sqlite3.Connection) -> Iterator[Difference]:
    for (text,) in connection.execute("PRAGMA quick_check(20)"):
        if text != "ok":
            yield Difference("file", "", "damage", None, str(text))


def _rollup(connection: sqlite3.Connection, table: Rollup) -> Iterator[Difference]:
    keys = keys_of(table)
    columns = (*ROLLED_COLUMNS, "last_us")
    rows = "generation WHERE true" if table == "hourly" else _FOLDED_ROWS
    kept = f"SELECT {', '.join((*keys, *columns))} FROM {table}"
    order = ", ".join(str(number + 1) for number in range(len(keys)))
    pairs = _side_by_side(
        connection.execute(f"{rolled_up(table, rows)} ORDER BY {order}"),
        connection.execute(f"{kept} ORDER BY {order}"),
        len(keys),
    )
    first = _first_whole_unit(connection, table)
    for key, from_rows, from_rollup in pairs:
        if from_rows == from_rollup or key[1] < first:
            continue
        where = _named(connection, keys, key)
        nothing = (None,) * len(columns)
        for column, true, found in zip(
            columns, from_rows or nothing, from_rollup or nothing, strict=True
        ):
            if true != found:
                yield Difference(table, where, column, true, found)


def _byok(connection: sqlite3.Connection) -> Iterator[Difference]:
    keys = ("key_id", "hour", "account_id")
    pairs = _side_by_side(connection.execute(BYOK_OF_ROWS), connection.execute(_BYOK_KEPT), 3)
    first = _first_whole_unit(connection, "hourly")
    for key, from_rows, kept in pairs:
        if from_rows == kept or key[1] < first:
            continue
        (true,), (found,) = from_rows or (None,), kept or (None,)
        yield Difference("byok", _named(connection, keys, key), "nanousd", true, found)


def _billed(connection: sqlite3.Connection) -> Iterator[Difference]:
    pairs = _side_by_side(connection.execute(BILLED_OF_ROWS), connection.execute(_BILLED_KEPT), 1)
    first = bound(kept_from_us(connection))
    for (row,), from_row, kept in pairs:
        if from_row == kept or row < first:
            continue
        nothing = (None,) * len(_BILLED_FIGURES)
        figures = zip(_BILLED_FIGURES, from_row or nothing, kept or nothing, strict=True)
        for name, true, found in figures:
            if true != found:
                yield Difference("billed", f"row={row}", name, true, found)


def _side_by_side(
    truth: Iterator[tuple[Any, ...]], kept: Iterator[tuple[Any, ...]], keys: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...] | None, tuple[int, ...] | None]]:
    """Walk two sorted answers at once: (key, sums of one, sums of the other) for each key."""
    a, b = next(truth, None), next(kept, None)
    while a is not None or b is not None:
        key = min(row[:keys] for row in (a, b) if row is not None)
        mine = a is not None and a[:keys] == key
        theirs = b is not None and b[:keys] == key
        yield key, a[keys:] if a and mine else None, b[keys:] if b and theirs else None
        a = next(truth, None) if mine else a
        b = next(kept, None) if theirs else b


def _first_whole_unit(connection: sqlite3.Connection, table: Rollup) -> int:
    """Return the first unit of a rollup none of whose rows were deleted."""
    return -(-kept_from_us(connection) // UNIT_US[table])


def _index(connection: sqlite3.Connection) -> Iterator[Difference]:
    (missing,) = connection.execute(
        f"SELECT count(*) FROM {_FOLDED_ROWS} AND end_user_id IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM by_user AS b WHERE b.user_id = end_user_id AND b.row = generation.row)"
    ).fetchone()
    (beyond,) = connection.execute(
        "SELECT count(*) FROM by_user AS b LEFT JOIN generation AS g ON g.row = b.row "
        "WHERE g.end_user_id IS NOT b.user_id"
    ).fetchone()
    same = " AND ".join(f"b.{name} IS {value}" for name, value in OWN_FIGURES.items())
    (wrong,) = connection.execute(
        "SELECT count(*) FROM by_user AS b JOIN generation AS g ON g.row = b.row "
        f"AND g.end_user_id = b.user_id WHERE NOT ({same})"
    ).fetchone()
    (lost,) = connection.execute(
        "SELECT count(*) FROM tail WHERE row NOT IN (SELECT row FROM generation)"
    ).fetchone()
    for name, count in (
        ("rows it lacks", missing),
        ("rows too many", beyond),
        ("rows with other figures", wrong),
    ):
        if count:
            yield Difference("by_user", "", name, 0, count)
    if lost:
        yield Difference("tail", "", "rows that are not there", 0, lost)


def _named(connection: sqlite3.Connection, keys: Sequence[str], values: Sequence[Any]) -> str:
    """Write a group's key with the texts its numbers stand for."""
    parts: list[str] = []
    for key, value in zip(keys, values, strict=True):
        if not key.endswith("_id"):
            parts.append(f"{key}={value}")
            continue
        table, column = ("end_user", "name") if key == "end_user_id" else ("name", "text")
        found = connection.execute(
            f"SELECT {column} FROM {table} WHERE id = ?", (value,)
        ).fetchone()
        parts.append(f"{key.removesuffix('_id')}={None if found is None else found[0]}")
    return " ".join(parts)


def count_rows(path: Path) -> int:
    """Count the generations. Raises StoreError."""
    with store_errors(path):
        connection = connect(path)
        try:
            (count,) = connection.execute("SELECT count(*) FROM generation").fetchone()
            return int(count)
        finally:
            connection.close()
