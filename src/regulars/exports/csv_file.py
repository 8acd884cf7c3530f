"""CSV as RFC 4180 has it: UTF-8, CRLF, quotes where needed, nothing a spreadsheet would run.

A last column tells what the file is: its name holds time zone and filters, its cell in the last
row says that the file is whole and how many rows it has. So no line is anything but a row, any
reader keeps working, and a file that was cut off lacks those words. `bare` leaves it away.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from regulars.exports.clock import clock
from regulars.exports.table import LOOKED_AT, About, Kind, Page, Table, written
from regulars.model.money import usd_text

NOTE: Final = "regulars_export"
LINE_END: Final = "\r\n"
_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - full-width signs are formulas too
_QUOTED: Final = frozenset('",\r\n')

Cells = Sequence[Any]


def harmless(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula."""
    if text[:1] in _FORMULA or text.lstrip()[:1] in _FORMULA:
        return f"'{text}"
    return text


def csv_pieces(table: Table, about: About, *, bare: bool) -> Iterator[bytes]:
    """Yield the file, a page at a time."""
    lines_of = _writer([column.kind for column in table.columns], about.zone)
    header = ",".join(_quoted(column.name) for column in table.columns)
    note = f"{NOTE}({about.words()}"
    end = LINE_END if bare else f",{LINE_END}"

    def line(text: str, told: str) -> str:
        return f"{text}{LINE_END}" if bare else f"{text},{_quoted(told)}{LINE_END}"

    # Held back by one: whether a row is the last shows only when no page follows.
    count, last = 0, None
    for page in table.pages:
        before = line(header, f"{note})") if last is None else line(last, "")
        *lines, last = lines_of(page)
        count += len(page[0])
        yield _bytes(before + end.join([*lines, ""]))
    whole = "; ".join([f"complete; rows={count}", *table.remarks])
    yield _bytes(line(header, f"{note}; {whole})") if last is None else line(last, whole))


def _writer(kinds: Sequence[Kind], zone: str) -> Callable[[Page], list[str]]:
    """Return what makes lines of rows: by column, since a page's cells of one kind are alike."""
    time = clock(zone)
    writers: dict[Kind, Callable[[Cells], Sequence[str]]] = {
        "text": _texts,
        "time": lambda cells: written(cells, time, none=""),
        "usd": lambda cells: written(cells, usd_text, none=""),
        "count": lambda cells: written(cells, str, none=""),
        "number": lambda cells: written(cells, _number, none=""),
        "flag": lambda cells: [_FLAGS[cell] for cell in cells],
    }
    plan = [writers[kind] for kind in kinds]

    def write(page: Page) -> list[str]:
        columns = [each(cells) for each, cells in zip(plan, page, strict=True)]
        if len(columns) == 1:
            # An empty line would be no row.
            return [cell or '""' for cell in columns[0]]
        return [*map(",".join, zip(*columns, strict=True))]

    return write


_FLAGS: Final = {None: "", False: "false", True: "true"}


def _texts(cells: Cells) -> Sequence[str]:
    if len(set(cells[:LOOKED_AT])) * 2 <= LOOKED_AT:
        return written(cells, _text, none="")
    texts = ["" if cell is None else cell for cell in cells]
    # Most pages have nothing that a spreadsheet or a reader could take for more than text.
    heads, whole = "".join([text[:1] for text in texts]), "".join(texts)
    if heads.isalnum() and not any(sign in whole for sign in _QUOTED):
        return texts
    return [*map(_text, texts)]


def _text(cell: str) -> str:
    return _quoted(harmless(cell))


def _quoted(text: str) -> str:
    """Write a cell as RFC 4180 has it."""
    if _QUOTED.isdisjoint(text):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
