"""Providers' exports as spreadsheets and accounts write them; nothing in one crashes the reader."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.stores.ledgers import generation
from regulars.ledger.reconcile import COLUMNS, Exported, ExportError, read_export, reconcile

HEADER = ",".join(COLUMNS)
NEW_YEAR_US = 1_767_225_600_000_000
LINE = Exported(2, "a", NEW_YEAR_US, "m", 1234, 5, 100_000_000)


def read(text: str) -> list[Exported]:
    return read_export(iter(text.splitlines(keepends=True)))


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\na,2026-01-01,m,1234,5,0.1\n",
        f"{HEADER}\r\na,2026-01-01,m,1234,5,0.1\r\n\r\n",
        f"{HEADER.replace(',', ';')}\na;2026-01-01;m;1234;5;0.1\n",
        "\t".join(COLUMNS) + "\na\t2026-01-01\tm\t1234\t5\t0.1\n",
        f"{HEADER.replace(',', ', ').upper()}\na, 2026-01-01, m, 1234, 5, 0.1\n",
        (
            '"created_at","id","model","prompt_tokens","completion_tokens","cost_usd","note"\n'
            '"2026-01-01","a","m","1234","5","0.1","x;y"\n'
        ),
        f"{HEADER}\na,2026-01-01,m,1234.0,5.00,1e-1\n",
        f"{HEADER}\na,1767225600,m,1234,5,0.1\n",
        f"{HEADER}\na,1767225600000,m,1234,5,0.1\n",
        f"{HEADER}\na,1767225600000000,m,1234,5,0.1\n",
        f"{HEADER}\na,2026-01-01 00:00:00 UTC,m,1234,5,0.1\n",
        f"{HEADER}\na,2025-12-31T18:15:00-05:45,m,1234,5,0.1\n",
    ],
    ids=[
        "plain",
        "crlf",
        "semicolons",
        "tabs",
        "spaces and capitals",
        "quoted",
        "fractions of nothing",
        "seconds",
        "milliseconds",
        "microseconds",
        "utc in words",
        "another zone",
    ],
)
def test_exports_of_many_hands_say_the_same(text: str) -> None:
    assert read(text) == [LINE]


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        ("a,nan,m,1,1,1", "created_at 'nan'"),
        ("a,inf,m,1,1,1", "created_at 'inf'"),
        ("a,1e999999,m,1,1,1", "created_at '1e999999'"),
        ("a,1e30,m,1,1,1", "created_at '1e30'"),
        ('a,2026-01-01,m,"1,234",1,1', "prompt_tokens '1,234' is not a whole number"),
        ("a,2026-01-01,m,-1,1,1", "prompt_tokens '-1'"),
        (f"a,2026-01-01,m,{'9' * 5000},1,1", "prompt_tokens '999"),
        ('a,2026-01-01,m,1,1,"1,234.5"', "cost_usd '1,234.5' is not a decimal number"),
        ("a,2026-01-01,m,1,1,$1", "cost_usd '$1'"),
        ("a,2026-01-01,m,1,1,1E999999", "cost_usd '1E999999'"),
        ("a,2026-01-01,m,1,1,1e90000", "cost_usd '1e90000'"),
        ("a,2026-01-01,m,1,1,nan", "cost_usd 'nan'"),
    ],
)
def test_a_cell_that_is_no_figure_is_named(cells: str, named: str) -> None:
    with pytest.raises(ExportError) as raised:
        read(f"{HEADER}\n{cells}\n")

    assert f"line 2: {named}" in str(raised.value)


def test_a_header_that_is_no_csv_is_named() -> None:
    with pytest.raises(ExportError, match="line 1: not CSV"):
        read('"id"x,created_at\n1,2\n')


_CELLS = st.text(max_size=12) | st.decimals().map(str) | st.datetimes().map(str)


@given(rows=st.lists(st.lists(_CELLS, max_size=8), max_size=3))
def test_nothing_in_an_export_crashes(rows: list[list[str]]) -> None:
    with contextlib.suppress(ExportError):
        read("\n".join([HEADER, *(",".join(cells) for cells in rows)]))


def test_a_line_that_comes_twice_is_named_as_that() -> None:
    row = generation(1, upstream_id="a")
    line = f"a,{row.created_at_us / 1e6},x,100,10,0.0000015"
    export = read(f"{HEADER}\n{line}\n{line}\n")

    (found,) = reconcile(export, [row], within_us=0, tolerance_nanousd=0)

    assert (found.kind, found.line, found.there) == ("twice there", 3, "a")
