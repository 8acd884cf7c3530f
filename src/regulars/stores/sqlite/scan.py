"""All rows of a question, page by page, on a connection of its own.

Each page is a read transaction of its own: a download that takes minutes holds no snapshot, so
the write-ahead log can be emptied meanwhile, and no place among the readers is taken.
"""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Final

from regulars.model.generation import Generation
from regulars.stores.base import Filter
from regulars.stores.sqlite.listing import newest
from regulars.stores.sqlite.readers import QUERY_TIME_MAX_S, Readers
from regulars.stores.sqlite.rows import Decoder

PAGE_ROWS: Final = 500
"""A page's rows take about 1 MB, and are made into lines in one go of a millisecond or two: of
2000, that kept the interpreter from requests for 6 ms."""


def scan(
    path: Path, where: Filter, *, query_time_max_s: float = QUERY_TIME_MAX_S
) -> Generator[list[Generation]]:
    """Yield pages, newest first; close it where it is not read to its end.

    Raises StoreError, StoreTimeoutError.
    """
    with closing(Readers(path, query_time_max_s=query_time_max_s)) as readers:
        decoder: Decoder | None = None
        last: int | None = None
        while True:
            # One connection is lent and given back, so the decoder's is always the same.
            with readers.snapshot() as connection:
                decoder = decoder or Decoder(connection)
                found = newest(connection, where, last=last, limit=PAGE_ROWS)
                page = decoder.page(found)
            if page:
                yield page
            if len(found) < PAGE_ROWS:
                return
            last = found[-1][0]
