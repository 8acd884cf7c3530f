"""What keys spent: from `hourly`, and from `byok` for what providers bill to keys of our own."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from regulars.model.generation import Generation
from regulars.stores.spendings import Begins, KeySpent, Spent
from regulars.stores.sqlite.rollups import HOUR_US
from regulars.stores.sqlite.rows import COLUMNS

_KEY: Final = COLUMNS.index("key_id")
_ACCOUNT: Final = COLUMNS.index("account_id")

_OF_ACCOUNT: Final = "account_id = (SELECT id FROM name WHERE text = :account)"
_OF_KEY: Final = "+key_id = (SELECT id FROM name WHERE text = :key)"
_SINCE: Final = f"""
SELECT
    (SELECT ifnull(sum(cost_nanousd), 0) FROM hourly
     WHERE {_OF_ACCOUNT} AND hour >= :hour AND {_OF_KEY}),
    (SELECT ifnull(sum(nanousd), 0) FROM byok
     WHERE {_OF_ACCOUNT} AND hour >= :hour AND key_id = (SELECT id FROM name WHERE text = :key))
"""
_WINDOWS: Final = """
sum({0}), sum(iif(hour >= :day, {0}, 0)), sum(iif(hour >= :week, {0}, 0)),
sum(iif(hour >= :month, {0}, 0))
"""
_EACH: Final = f"""
SELECT (SELECT text FROM name WHERE name.id = key_id), {_WINDOWS.format("cost_nanousd")},
max(last_us) FROM hourly WHERE {_OF_ACCOUNT} AND (:key IS NULL OR {_OF_KEY}) GROUP BY key_id
"""
_EACH_BYOK: Final = f"""
SELECT (SELECT text FROM name WHERE name.id = key_id), {_WINDOWS.format("nanousd")}
FROM byok WHERE {_OF_ACCOUNT} AND (:key IS NULL OR {_OF_KEY}) GROUP BY key_id
"""
_ADD_BYOK: Final = """
INSERT INTO byok (key_id, hour, account_id, nanousd) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET nanousd = nanousd + excluded.nanousd
"""


def add_byok(
    connection: sqlite3.Connection,
    rows: Sequence[Generation],
    encoded: Sequence[tuple[Any, ...]],
) -> None:
    """Add what rows were billed elsewhere, in the open transaction; nearly none was."""
    billed = [
        (values[_KEY], row.created_at_us // HOUR_US, values[_ACCOUNT], row.cost.byok)
        for row, values in zip(rows, encoded, strict=True)
        if row.cost is not None and row.cost.byok is not None
    ]
    if billed:
        connection.executemany(_ADD_BYOK, billed)


def spent_since(
    connection: sqlite3.Connection, account: str, key_hash: str, begin_us: int | None
) -> Spent:
    """Return what one key spent since a whole hour, or ever."""
    values = {
        "account": account,
        "key": key_hash,
        "hour": 0 if begin_us is None else begin_us // HOUR_US,
    }
    return Spent(*connection.execute(_SINCE, values).fetchone())


def keys_spent(
    connection: sqlite3.Connection, account: str, begins: Begins, key_hash: str | None
) -> dict[str, KeySpent]:
    """Return by hash what each key, or one, spent."""
    values = {
        "account": account,
        "key": key_hash,
        "day": begins.day_us // HOUR_US,
        "week": begins.week_us // HOUR_US,
        "month": begins.month_us // HOUR_US,
    }
    billed = {row[0]: row[1:] for row in connection.execute(_EACH_BYOK, values)}
    found: dict[str, KeySpent] = {}
    for key, *sums, last_us in connection.execute(_EACH, values):
        parts = zip(sums, billed.get(key, (0, 0, 0, 0)), strict=True)
        total, daily, weekly, monthly = (Spent(of_all, byok) for of_all, byok in parts)
        found[key] = KeySpent(total, daily, weekly, monthly, last_us)
    return found
