"""CSV as RFC 4180 has it: UTF-8, CRLF, quotes where needed, nothing a spreadsheet would run.

A last column tells what the file is: its name holds time zone and filters, its cell in the last
row says that the file is whole and how many rows it has. So no line is anything but a row, any
reader keeps working, and a file that was cut off lacks those words. `bare` leaves it away.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from regulars.exports.clock import clock
from regulars.exports.table import About, Column, Kind, Row, Table
from regulars.model.money import usd_text

NOTE: Final = "regulars_export"
_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - full-width signs are formulas too

Cells = Sequence[Any]


def harmless(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula."""
    if text[:1] in _FORMULA or text.lstrip()[:1] in _FORMULA:
        return f"'{text}"
    return text


def csv_pieces(table: Table, about: About, *, bare: bool) -> Iterator[bytes]:
    """Yield the file, a page at a time."""
    write = _writer(table.columns, about.zone)
    out = io.StringIO(newline="")
    lines = csv.writer(out)
    header = [column.name for column in table.columns if not column.extra]
    note = f"{NOTE}({about.words()}"
    # Held back by one: whether a row is the last shows only when no page follows.
    count, last = 0, None
    for page in table.pages:
        if not page:
            continue
        if last is None:
            lines.writerow(header if bare else [*header, f"{note})"])
        else:
            lines.writerow(last if bare else [*last, ""])
        *rows, last = write(page)
        lines.writerows(rows if bare else [(*row, "") for row in rows])
        count += len(page)
        yield _taken(out)
    whole = f"complete; rows={count}"
    if last is None:
        lines.writerow(header if bare else [*header, f"{note}; {whole})"])
    else:
        lines.writerow(last if bare else [*last, whole])
    yield _taken(out)


def _writer(columns: Sequence[Column], zone: str) -> Callable[[Sequence[Row]], Iterator[Cells]]:
    """Return what makes cells of rows: by column, since a page's cells of one kind are alike."""
    time = clock(zone)
    # What is written as it is (None as nothing) needs no work: that is most columns.
    kinds: dict[Kind, Callable[[Cells], Cells]] = {
        "text": lambda cells: [
            cell if not cell or cell[0].isalnum() else harmless(cell) for cell in cells
        ],
        "time": lambda cells: [None if cell is None else time(cell) for cell in cells],
        "usd": lambda cells: [usd_text(cell) if cell else cell for cell in cells],
        "number": lambda cells: [_number(cell) if cell else cell for cell in cells],
        "flag": lambda cells: [_FLAGS[cell] for cell in cells],
    }
    plan = [
        (place, kinds.get(column.kind)) for place, column in enumerate(columns) if not column.extra
    ]

    def write(page: Sequence[Row]) -> Iterator[Cells]:
        found = list(zip(*page, strict=True))
        return zip(
            *[found[place] if each is None else each(found[place]) for place, each in plan],
            strict=True,
        )

    return write


_FLAGS: Final = {None: None, False: "false", True: "true"}


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _taken(out: io.StringIO) -> bytes:
    data = out.getvalue().encode("utf-8", "replace")
    out.seek(0)
    out.truncate()
    return data
