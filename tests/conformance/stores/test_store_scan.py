"""`scan`: every row of a question, page by page, for any store."""

from contextlib import closing

import pytest

from conformance.stores.ledgers import FULL, NOON_US, generation
from regulars.model.generation import Generation
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore
from regulars.stores.sqlite.connect import connect
from regulars.stores.sqlite.listing import page_query
from regulars.stores.sqlite.scan import PAGE_ROWS

ALL = Filter("default")
COUNT = 2 * PAGE_ROWS + 3


def rows_of(store: SqliteStore, where: Filter) -> list[Generation]:
    with closing(store.scan(where)) as pages:
        return [row for page in pages for row in page]


def filled(store: SqliteStore) -> list[Generation]:
    rows = [generation(n, end_user=None if n % 5 == 0 else f"u{n % 3}") for n in range(COUNT)]
    store.append(rows)
    return rows[::-1]


@pytest.mark.parametrize("folded", [False, True])
def test_scan_yields_every_row_once_newest_first(store: SqliteStore, *, folded: bool) -> None:
    rows = filled(store)
    if folded:
        store.fold()

    assert rows_of(store, ALL) == rows
    assert rows_of(store, Filter("default", user="u1")) == [r for r in rows if r.end_user == "u1"]


def test_scan_stays_within_its_times(store: SqliteStore) -> None:
    rows = filled(store)
    begin, end = NOON_US + 10_000_000, NOON_US + 3000 * 1_000_000

    found = rows_of(store, Filter("default", from_us=begin, to_us=end))

    assert found == [row for row in rows if begin <= row.created_at_us < end]


def test_scan_keeps_every_field(store: SqliteStore) -> None:
    store.append([FULL, generation(8, end_user=None, usage=None, cost=None, provider=None)])

    assert rows_of(store, ALL)[1] == FULL
    assert rows_of(store, ALL)[0].end_user is None


def test_rows_are_written_while_a_scan_stands_still(store: SqliteStore) -> None:
    rows = filled(store)
    with closing(store.scan(ALL)) as pages:
        first = next(pages)
        store.append([generation(COUNT + 1)])
        store.fold()
        rest = [row for page in pages for row in page]

    assert first + rest == rows


def test_a_page_is_sought_by_one_bound_at_each_end(store: SqliteStore) -> None:
    where = Filter("default", from_us=NOON_US, to_us=NOON_US + 10**12)
    values = {"account": "default", "from_row": 1, "to_row": 9, "limit": 10}
    connection = connect(store.path)

    plan = connection.execute(
        f"EXPLAIN QUERY PLAN {page_query(where, 'generation', values)}", values
    ).fetchall()
    connection.close()

    assert "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plan[0][-1]


def test_a_scan_does_not_name_who_is_erased_while_it_runs(store: SqliteStore) -> None:
    rows = filled(store)
    with closing(store.scan(ALL)) as pages:
        first = next(pages)
        store.erase("default", "u1", now_us=rows[0].created_at_us + 1)
        later = [row for page in pages for row in page]

    assert "u1" in {row.end_user for row in first}
    assert "u1" not in {row.end_user for row in later}
    assert len(first) + len(later) == COUNT
