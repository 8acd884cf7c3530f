"""JSON Lines: an object a row, money as exact decimal numbers.

The first row has a key more that names time zone and filters, the last one says that the file
is whole; where there are no rows one line says both. `bare` leaves them away.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from regulars.exports.clock import clock
from regulars.exports.table import About, Kind, Page, Table, written
from regulars.model.money import usd_text

NOTE: Final = "regulars_export"


def jsonl_pieces(table: Table, about: About, *, bare: bool) -> Iterator[bytes]:
    """Yield the file, a page at a time."""
    encode = msgspec.json.Encoder().encode_lines
    note: dict[str, Any] = {} if bare else {"time_zone": about.zone, "filters": dict(about.filters)}
    count, last = 0, None
    objects = object_maker(
        table, about.zone, money=lambda nanos: msgspec.Raw(usd_text(nanos).encode())
    )
    for page in table.pages:
        found = objects(page)
        if last is not None:
            found.insert(0, last)
        elif note:
            found[0][NOTE] = note
        last = found.pop()
        count += len(page[0])
        yield encode(found)
    if bare:
        yield encode([] if last is None else [last])
        return
    whole: dict[str, Any] = {"complete": True, "rows": count}
    if table.remarks:
        whole["remarks"] = table.remarks
    if last is None:
        last = {NOTE: note | whole}
    else:
        last[NOTE] = last.get(NOTE, {}) | whole
    yield encode([last])


def object_maker(
    table: Table, zone: str, *, money: Callable[[int], Any]
) -> Callable[[Page], list[dict[str, Any]]]:
    """Return what makes objects of rows; `money` writes nano-USD."""
    write_time = clock(zone, between="T")
    utc = "Z" if zone == "UTC" else ""
    writers: dict[Kind, Callable[[Any], Any]] = {
        "time": lambda at_us: write_time(at_us) + utc,
        "usd": money,
        "flag": bool,
    }
    names = [column.name for column in table.columns]
    plan = [writers.get(column.kind) for column in table.columns]

    def make(page: Page) -> list[dict[str, Any]]:
        columns = [
            cells if write is None else written(cells, write)
            for write, cells in zip(plan, page, strict=True)
        ]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    return make
