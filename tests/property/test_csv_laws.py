"""CSV files: whatever the cells say, a reader finds them again, and nothing a spreadsheet runs."""

import csv
import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from regulars.exports.csv_file import csv_pieces, harmless
from regulars.exports.table import About, Column, Table

SIGNS = st.sampled_from([*'=+-@\t\r\n",; a0é', "＝", "\u2028"])  # noqa: RUF001 - a formula's sign too
TEXTS = st.none() | st.text(SIGNS, max_size=5) | st.text(max_size=8)
ABOUT = About("t", (("user", 'a,"b"'),), "UTC", 0)


@st.composite
def pages(draw: st.DrawFn) -> list[list[list[Any]]]:
    """Draw pages of two columns, the second of many or of few different texts."""
    found: list[list[list[Any]]] = []
    few = st.sampled_from(draw(st.lists(TEXTS, min_size=1, max_size=3)))
    for rows in draw(st.lists(st.integers(1, 80), max_size=3)):
        cells = draw(st.lists(few if draw(st.booleans()) else TEXTS, min_size=rows, max_size=rows))
        found.append([list(range(rows)), cells])
    return found


@settings(deadline=None)
@given(pages=pages())
def test_a_reader_finds_every_cell_again_as_harmless_text(pages: list[list[list[Any]]]) -> None:
    table = Table((Column("n", "count"), Column("text", "text")), iter(pages))

    file = b"".join(csv_pieces(table, ABOUT, bare=False)).decode()

    rows = list(csv.reader(io.StringIO(file, newline=""), strict=True))
    truth = [
        [str(n), harmless(text or "")] for page in pages for n, text in zip(*page, strict=True)
    ]
    assert [row[:2] for row in rows[1:]] == [
        [n, text.encode("utf-8", "replace").decode()] for n, text in truth
    ]
    assert [row[2] for row in rows[1:-1]] == [""] * (len(rows) - 2)
    assert f"complete; rows={len(truth)}" in rows[-1][2]


@given(cells=st.lists(TEXTS, min_size=1, max_size=50))
def test_a_file_of_one_column_has_a_line_for_each_row(cells: list[str | None]) -> None:
    table = Table((Column("text", "text"),), iter([[cells]]))

    file = b"".join(csv_pieces(table, ABOUT, bare=True)).decode()

    rows = list(csv.reader(io.StringIO(file, newline=""), strict=True))
    assert len(rows) == len(cells) + 1
