"""All rows of a question, page by page, on a connection of its own.

Each page is a read transaction of its own: a download that takes minutes holds no snapshot, so
the write-ahead log can be emptied meanwhile, and no place among the readers is taken.
"""

import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from regulars.model.generation import Generation
from regulars.stores.base import Filter
from regulars.stores.sqlite.query import page_query, page_values
from regulars.stores.sqlite.readers import QUERY_TIME_MAX_S, Readers
from regulars.stores.sqlite.rows import Decoder
from regulars.stores.sqlite.slices import Table

PAGE_ROWS: Final = 2000
"""A page's rows take about 4 MB while they are worked on."""


def scan(
    path: Path, where: Filter, *, query_time_max_s: float = QUERY_TIME_MAX_S
) -> Generator[list[Generation]]:
    """Yield pages, newest first; close it where it is not read to its end.

    Raises StoreError, StoreTimeoutError.
    """
    tables: tuple[Table, ...] = ("generation",) if where.user is None else ("by_user", "tail")
    with closing(Readers(path, query_time_max_s=query_time_max_s)) as readers:
        decoder: Decoder | None = None
        last: int | None = None
        while True:
            queries = [page_query(where, last, table) for table in tables]
            values = page_values(where, last) | {"limit": PAGE_ROWS}
            # One connection is lent and given back, so the decoder's is always the same.
            with readers.snapshot() as connection:
                decoder = decoder or Decoder(connection)
                found = _page(connection, queries, values)
                page = decoder.page(found)
            if page:
                yield page
            if len(found) < PAGE_ROWS:
                return
            last = found[-1][0]


def _page(
    connection: sqlite3.Connection, queries: list[str], values: dict[str, Any]
) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for query in queries:
        found += connection.execute(query, values).fetchall()
    if len(queries) > 1:
        # A row is folded or not, so none comes twice; its number is its first column.
        found.sort(reverse=True)
    return found[:PAGE_ROWS]
