"""`scan`: every row of a question, page by page, for any store."""

from collections.abc import Iterable
from contextlib import closing
from typing import Any, get_args

import pytest
from hypothesis import given, settings

from conformance.stores.ledgers import FULL, NOON_US, generation, ledgers
from conformance.stores.test_store_run import filled as ledger_of
from regulars.model.generation import Generation
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.stores.base import Filter
from regulars.stores.scans import Field, Page
from regulars.stores.sqlite import SqliteStore
from regulars.stores.sqlite.connect import connect
from regulars.stores.sqlite.listing import page_query
from regulars.stores.sqlite.scan import PAGE_ROWS

ALL = Filter("default")
COUNT = 2 * PAGE_ROWS + 3


FIELDS: tuple[Field, ...] = get_args(Field)
NO_USAGE, NO_COST = Usage(None, None), Cost(None, None, None, None)  # type: ignore[arg-type]


def value_of(row: Generation, field: Field) -> Any:
    """What a field says, read from the generation itself."""
    usage, cost = row.usage or NO_USAGE, row.cost or NO_COST
    special: dict[str, Any] = {
        "cost_nanousd": cost.total,
        "cost_prompt_nanousd": cost.prompt,
        "cache_saving_nanousd": cost.cache_saving,
        "byok_nanousd": cost.byok,
        "ttft_ms": None if row.ttft_ms is None else pytest.approx(row.ttft_ms, rel=1e-14),
        "duration_ms": pytest.approx(row.duration_ms, rel=1e-14),
    }
    if field in special:
        return special[field]
    return getattr(usage if field.endswith("_tokens") else row, field)


def told(rows: Iterable[Generation]) -> list[tuple[Any, ...]]:
    return [tuple(value_of(row, field) for field in FIELDS) for row in rows]


def as_rows(pages: Iterable[Page]) -> list[tuple[Any, ...]]:
    return [row for page in pages for row in zip(*page, strict=True)]


def rows_of(store: SqliteStore, where: Filter) -> list[tuple[Any, ...]]:
    with closing(store.scan(where, FIELDS)) as pages:
        return as_rows(pages)


def filled(store: SqliteStore) -> list[Generation]:
    rows = [generation(n, end_user=None if n % 5 == 0 else f"u{n % 3}") for n in range(COUNT)]
    store.append(rows)
    return rows[::-1]


@pytest.mark.parametrize("folded", [False, True])
def test_scan_yields_every_row_once_newest_first(store: SqliteStore, *, folded: bool) -> None:
    rows = filled(store)
    if folded:
        store.fold()

    assert rows_of(store, ALL) == told(rows)
    ones = [row for row in rows if row.end_user == "u1"]
    assert rows_of(store, Filter("default", user="u1")) == told(ones)


def test_scan_stays_within_its_times(store: SqliteStore) -> None:
    rows = filled(store)
    begin, end = NOON_US + 10_000_000, NOON_US + 3000 * 1_000_000

    found = rows_of(store, Filter("default", from_us=begin, to_us=end))

    assert found == told(row for row in rows if begin <= row.created_at_us < end)


def test_scan_keeps_every_field(store: SqliteStore) -> None:
    store.append([FULL, generation(8, end_user=None, usage=None, cost=None, provider=None)])

    assert rows_of(store, ALL)[1] == told([FULL])[0]
    assert rows_of(store, ALL)[0][FIELDS.index("end_user")] is None


@settings(max_examples=20, deadline=None)
@given(rows=ledgers())
def test_scan_says_of_any_row_what_the_row_says(rows: list[Generation]) -> None:
    with ledger_of(rows) as store:
        found = rows_of(store, ALL)

    own = [row for row in rows if row.account == "default"]
    newest = sorted(own, key=lambda row: row.created_at_us, reverse=True)
    assert sorted(found, key=str) == sorted(told(newest), key=str)


@pytest.mark.parametrize("hostile", ['"', "\\", "\0x", "\n\r\t", "\u2028é🦊", "'; --", "%s{}"])
def test_scan_keeps_any_text(store: SqliteStore, hostile: str) -> None:
    row = generation(1, end_user=hostile, session=hostile, app=hostile, model=hostile)
    store.append([row])

    assert rows_of(store, ALL) == told([row])


def test_rows_are_written_while_a_scan_stands_still(store: SqliteStore) -> None:
    rows = filled(store)
    with closing(store.scan(ALL, FIELDS)) as pages:
        first = as_rows([next(pages)])
        store.append([generation(COUNT + 1)])
        store.fold()
        rest = as_rows(pages)

    assert first + rest == told(rows)


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
    with closing(store.scan(ALL, ("end_user",))) as pages:
        first = as_rows([next(pages)])
        store.erase("default", "u1", now_us=rows[0].created_at_us + 1)
        later = as_rows(pages)

    assert ("u1",) in first
    assert ("u1",) not in later
    assert len(first) + len(later) == COUNT
