"""Statements that insert generations, and the trigger that counts each row as it goes in.

The writing connection's trigger adds every row to `hourly` and to the tail. So a batch is one
statement, which is a transaction by itself: each statement hands the interpreter's lock to the
event loop's thread and back four times, and there were seven.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

from typing import Final

from regulars.stores.sqlite.fold import GROUPED
from regulars.stores.sqlite.places import PLACE_BITS
from regulars.stores.sqlite.rollups import ROW_SUMS, upsert_head, upsert_tail
from regulars.stores.sqlite.rows import COLUMNS
from regulars.stores.sqlite.stamp import STAMP_IS

# GROUPED and ROW_SUMS speak of columns without a table's name.
_NEW: Final = ", ".join(f"new.{column} AS {column}" for column in COLUMNS if column != "details")

COUNT_ROWS: Final = f"""
CREATE TEMP TRIGGER count_row AFTER INSERT ON main.generation BEGIN
    INSERT INTO tail (row) VALUES (new.row);
    {upsert_head("hourly")}
    SELECT {", ".join((*GROUPED["hourly"], *ROW_SUMS))}, row >> {PLACE_BITS}
    FROM (SELECT {_NEW}) WHERE true
    {upsert_tail("hourly")};
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
