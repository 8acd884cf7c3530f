"""A row whose end is corrected afterwards: once, in the row and in every sum."""

import pytest
from msgspec.structs import replace

from conformance.stores.ledgers import generation
from regulars.model.generation import Outcome
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore

ALL = Filter(account="default")
ROWS = [generation(number) for number in range(3)]
REFUSED = replace(ROWS[1], outcome=Outcome.FAILED, status=503, error="unrecorded")


def failures(store: SqliteStore) -> list[int]:
    """Count failed requests as each of the store's sums has them."""
    return [
        store.totals(ALL).failed,
        sum(row.sums.failed for row in store.activity(ALL, by_user=True, limit=10)),
        sum(row.sums.failed for row in store.users(ALL, limit=10)),
    ]


@pytest.mark.parametrize("folded", [False, True])
def test_a_corrected_row_is_right_in_every_sum(store: SqliteStore, *, folded: bool) -> None:
    store.append(ROWS)
    if folded:
        store.fold()

    store.correct(REFUSED)
    store.correct(REFUSED)
    first = failures(store)
    store.fold()

    assert store.generation(REFUSED.id) == REFUSED
    assert store.generation(ROWS[0].id) == ROWS[0]
    assert first == failures(store) == [1, 1, 1]
    assert list(store.verify()) == []


def test_correcting_what_is_not_there_changes_nothing(store: SqliteStore) -> None:
    store.append(ROWS[:1])

    store.correct(REFUSED)

    assert store.generation(REFUSED.id) is None
    assert failures(store) == [0, 0, 0]


def test_a_correction_beside_its_row_makes_one_row(store: SqliteStore) -> None:
    store.append([ROWS[1], REFUSED])

    store.correct(REFUSED)

    assert store.generation(REFUSED.id) == REFUSED
    assert store.totals(ALL).requests == 1
    assert list(store.verify()) == []
