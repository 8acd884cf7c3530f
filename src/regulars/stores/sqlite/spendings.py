"""What keys spent: from `hourly`, and from `byok` for what providers bill to keys of our own.

That is kept row by row too, in `billed`, for reports that ask by whom and for which model.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from regulars.model.generation import Generation
from regulars.stores.spendings import Begins, KeySpent, Spent
from regulars.stores.sqlite.places import PLACE_BITS
from regulars.stores.sqlite.rollups import HOUR_US
from regulars.stores.sqlite.rows import COLUMNS

_ROW: Final = COLUMNS.index("row")
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
_EVER: Final = """
SELECT (SELECT text FROM name WHERE name.id = key_id), sum({0}), {1} FROM {2} WHERE {3} GROUP BY key_id
"""
# Apart from all time: grouping sorts, so the fewer columns of old hours the better.
_LATELY: Final = """
SELECT (SELECT text FROM name WHERE name.id = key_id),
sum(iif(hour >= :day, {0}, 0)), sum(iif(hour >= :week, {0}, 0)), sum(iif(hour >= :month, {0}, 0))
FROM {1} WHERE {2} AND hour >= min(:week, :month) GROUP BY key_id
"""
BYOK_OF_ROWS: Final = f"""
SELECT key_id, (row >> {PLACE_BITS}) / {HOUR_US} AS hour, account_id, sum(details ->> 'byok_nanousd')
FROM generation WHERE details ->> 'byok_nanousd' IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
"""What the table `byok` is to hold, from the rows."""
_ASKED: Final = f"{_OF_ACCOUNT} AND (:key IS NULL OR {_OF_KEY})"
_COST_EVER: Final = _EVER.format("cost_nanousd", "max(last_us)", "hourly", _ASKED)
_BYOK_EVER: Final = _EVER.format("nanousd", "0", "byok", _ASKED)
_COST_LATELY: Final = _LATELY.format("cost_nanousd", "hourly", _ASKED)
_BYOK_LATELY: Final = _LATELY.format("nanousd", "byok", _ASKED)
_NOTHING: Final = (0, 0, 0)
_ADD_BYOK: Final = """
INSERT INTO byok (key_id, hour, account_id, nanousd) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET nanousd = nanousd + excluded.nanousd
"""


_BILLED_COLUMNS: Final = (
    "row, account_id, key_id, model_id, end_user_id, provider_id, endpoint_id, "
    "details ->> 'byok_nanousd'"
)
BILLED_OF_ROWS: Final = f"""
SELECT {_BILLED_COLUMNS} FROM generation WHERE details ->> 'byok_nanousd' IS NOT NULL ORDER BY row
"""
"""What the table `billed` is to hold, from the rows."""
_ADD_BILLED: Final = f"INSERT INTO billed SELECT {_BILLED_COLUMNS} FROM generation WHERE row = ?"


def has_byok(rows: Sequence[Generation]) -> bool:
    """Say whether any of the rows was billed elsewhere; nearly none is."""
    return any(row.cost is not None and row.cost.byok is not None for row in rows)


def add_byok(
    connection: sqlite3.Connection,
    rows: Sequence[Generation],
    encoded: Sequence[tuple[Any, ...]],
) -> None:
    """Add what rows were billed elsewhere, in the open transaction; nearly none was.

    `encoded` are the rows as they have been inserted, each at its place.
    """
    billed = [
        (values, row.created_at_us // HOUR_US, row.cost.byok)
        for row, values in zip(rows, encoded, strict=True)
        if row.cost is not None and row.cost.byok is not None
    ]
    if billed:
        connection.executemany(
            _ADD_BYOK,
            [(values[_KEY], hour, values[_ACCOUNT], byok) for values, hour, byok in billed],
        )
        connection.executemany(_ADD_BILLED, [(values[_ROW],) for values, _, _ in billed])


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

    def rows(query: str) -> dict[str, tuple[int, ...]]:
        return {key: tuple(sums) for key, *sums in connection.execute(query, values)}

    byok_ever, lately, byok_lately = rows(_BYOK_EVER), rows(_COST_LATELY), rows(_BYOK_LATELY)
    found: dict[str, KeySpent] = {}
    for key, (total, last_us) in rows(_COST_EVER).items():
        day, week, month = lately.get(key, _NOTHING)
        byok_day, byok_week, byok_month = byok_lately.get(key, _NOTHING)
        found[key] = KeySpent(
            total=Spent(total, byok_ever.get(key, _NOTHING)[0]),
            daily=Spent(day, byok_day),
            weekly=Spent(week, byok_week),
            monthly=Spent(month, byok_month),
            last_us=last_us,
        )
    return found
