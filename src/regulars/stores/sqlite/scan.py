"""All rows of a question, page by page, on a connection of its own.

Each page is a read transaction of its own: a download that takes minutes holds no snapshot, so
the write-ahead log can be emptied meanwhile, and no place among the readers is taken.
"""

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from regulars.stores.base import Filter
from regulars.stores.scans import Field, Page
from regulars.stores.sqlite.cells import page_of, reading
from regulars.stores.sqlite.listing import newest
from regulars.stores.sqlite.readers import QUERY_TIME_MAX_S, Readers
from regulars.stores.sqlite.texts import Texts

PAGE_ROWS: Final = 500
"""A page's rows are made into lines in one go of a millisecond or two: of 2000, that kept the
interpreter from requests for 6 ms."""


def scan(
    path: Path,
    where: Filter,
    fields: Sequence[Field],
    *,
    query_time_max_s: float = QUERY_TIME_MAX_S,
) -> Generator[Page]:
    """Yield pages, newest first; close it where it is not read to its end.

    Raises StoreError, StoreTimeoutError.
    """
    asked = reading(fields)
    with closing(Readers(path, query_time_max_s=query_time_max_s)) as readers:
        texts: Texts | None = None
        last: int | None = None
        while True:
            # One connection is lent and given back, so it is always the one of `texts`.
            with readers.snapshot() as connection:
                texts = texts or Texts(connection)
                found = newest(connection, where, last=last, limit=PAGE_ROWS, reading=asked)
                page = page_of(found, fields, texts) if found else None
            if page is not None:
                yield page
            if len(found) < PAGE_ROWS:
                return
            last = found[-1][0]
