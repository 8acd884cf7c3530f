"""Appending and finding rows: every store, the same answers."""

import pytest
from msgspec.structs import replace

from conformance.stores.ledgers import FULL, NOON_US, generation
from regulars.model.generation import Generation, Outcome
from regulars.stores.base import Filter, RowError
from regulars.stores.sqlite import SqliteStore

ALL = Filter(account="default")
BARE = Generation(
    id="gen-bare",
    created_at_us=NOON_US,
    account="default",
    key_hash="k",
    outcome=Outcome.REFUSED,
    status=400,
    model="",
    streamed=False,
)


@pytest.mark.parametrize("row", [FULL, BARE], ids=["full", "bare"])
def test_a_row_comes_back_as_it_went_in(store: SqliteStore, row: Generation) -> None:
    store.append([row])

    assert store.generation(row.id) == row


def test_an_unknown_id_is_none(store: SqliteStore) -> None:
    assert store.generation("gen-none") is None


def test_a_known_id_changes_neither_rows_nor_sums(store: SqliteStore) -> None:
    first = generation(1)
    store.append([first, replace(first, status=500), generation(2)])
    before = store.totals(ALL)

    store.append([replace(first, outcome=Outcome.FAILED), generation(3)])
    store.append([first, generation(2), generation(3)])

    assert before.requests == 2
    assert store.totals(ALL).requests == 3
    assert store.generation(first.id) == first
    assert store.users(ALL, limit=10)[0].sums == store.totals(ALL)


@pytest.mark.parametrize(
    "bad",
    [
        generation(2, created_at_us=2**70),
        generation(2, model="\ud800"),
        generation(2, status="not a number"),
        generation(2, duration_ms=None),
        generation(2, created_at_us="late"),
    ],
    ids=["overflow", "surrogate", "type", "missing", "time"],
)
def test_a_bad_row_keeps_its_batch_out_and_nothing_else(
    store: SqliteStore, bad: Generation
) -> None:
    store.append([generation(0)])

    with pytest.raises(RowError):
        store.append([generation(1, end_user="new person", model="new model"), bad])
    store.append([generation(3, end_user="another person", model="another model")])

    rows, _ = store.generations(ALL, limit=10, before=None)
    assert [row.model for row in rows] == ["another model", "meta/llama"]
    assert [row.end_user for row in rows] == ["another person", "ann"]


def test_large_batches_of_any_size_are_whole(store: SqliteStore) -> None:
    store.append([generation(number, end_user=f"u{number}") for number in range(347)])

    assert store.totals(ALL).requests == 347
    assert len(store.users(ALL, limit=1000)) == 347


def test_pages_lead_through_every_row_once_newest_first(store: SqliteStore) -> None:
    rows = [generation(number, created_at_us=NOON_US + number // 3) for number in range(25)]
    store.append(rows)

    seen: list[Generation] = []
    cursor: str | None = None
    while True:
        page, cursor = store.generations(ALL, limit=4, before=cursor)
        seen += page
        if cursor is None:
            break

    assert seen == rows[::-1]


def test_an_unknown_cursor_leads_nowhere(store: SqliteStore) -> None:
    store.append([generation(1)])

    assert store.generations(ALL, limit=4, before="gen-none") == ([], None)


def test_one_name_in_two_accounts_is_two_people(store: SqliteStore) -> None:
    store.append([generation(1), generation(2, account="other")])

    assert store.totals(Filter(account="default", user="ann")).requests == 1
    assert store.totals(Filter(account="other", user="ann")).requests == 1
