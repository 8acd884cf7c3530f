"""Statements that insert generations, and the trigger that counts each row as it goes in.

The writing connection's trigger adds every row to `hourly` and to the tail. So a batch is one
statement, which is a transaction by itself: each statement hands the interpreter's lock to the
event loop's thread and back four times, and there were seven.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import re
from typing import Final

from regulars.stores.sqlite.fold import GROUPED
from regulars.stores.sqlite.places import PLACE_BITS
from regulars.stores.sqlite.rollups import ROW_SUMS, keys_of
from regulars.stores.sqlite.rows import COLUMNS
from regulars.stores.sqlite.schema import ROLLED_COLUMNS
from regulars.stores.sqlite.stamp import STAMP_IS


def _of_new(expression: str) -> str:
    """Make an expression over a row's columns one over the row that a trigger is for."""
    return re.sub(r"\b(" + "|".join(COLUMNS) + r")\b", r"new.\1", expression)


_KEYS: Final = {
    key: _of_new(value) for key, value in zip(keys_of("hourly"), GROUPED["hourly"], strict=True)
}
_SUMS: Final = {
    column: _of_new(value) for column, value in zip(ROLLED_COLUMNS, ROW_SUMS, strict=True)
}
_TIME: Final = f"new.row >> {PLACE_BITS}"

# An upsert makes the whole row first, and then another of it and the one that is there.
COUNT_ROWS: Final = f"""
CREATE TEMP TRIGGER count_row AFTER INSERT ON main.generation BEGIN
    INSERT INTO tail (row) VALUES (new.row);
    UPDATE hourly SET
        {", ".join(f"{column} = {column} + ({value})" for column, value in _SUMS.items())},
        last_us = max(last_us, {_TIME})
    WHERE {" AND ".join(f"{key} = {value}" for key, value in _KEYS.items())};
    INSERT INTO hourly ({", ".join((*_KEYS, *_SUMS, "last_us"))})
    SELECT {", ".join((*_KEYS.values(), *_SUMS.values(), _TIME))} WHERE changes() = 0;
END
"""
"""For the one connection that writes: adding up a batch before it, in Python, took as long."""

_INSERT: Final = f"INSERT INTO generation ({', '.join(COLUMNS)}) "
_PLACES: Final = f"({', '.join('?' * len(COLUMNS))})"

INSERTS: Final = {
    size: f"{_INSERT}SELECT * FROM (VALUES {', '.join([_PLACES] * size)}) WHERE {STAMP_IS}"
    for size in (64, 48, 40, *range(32, 0, -1))
}
"""By how many rows they take, descending: most batches are one, prepared once and kept.

They insert nothing where people's names are not those of the stamp given with the rows: asking
first would be a transaction of four statements.
"""

INSERT_ONE: Final = f"{_INSERT}VALUES {_PLACES}"
"""For a transaction in which names have been looked up."""
