"""Old rows go, a few at a time; their sums stay; the file shrinks; writers are not held up."""

import asyncio
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from conformance.stores.ledgers import DAY_US, generation
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerWriter
from regulars.model.generation import Generation
from regulars.model.ids import generation_id
from regulars.stores.base import Filter, Tidy
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.fold import FOLD_ROWS

ALL = Filter(account="default")
AT_US = 1_760_000_000_000_000


def own(number: int, *, step_us: int = 60_000_000) -> Generation:
    """A row with an id of our own form, `step_us` after the one before."""
    at_us = AT_US + number * step_us
    return generation(
        id=generation_id(at_us, number), created_at_us=at_us, end_user=f"user-{number % 50}"
    )


def filled(path: Path, rows: list[Generation]) -> SqliteStore:
    store = open_store(f"sqlite:///{path}/ledger.db")
    for start in range(0, len(rows), 500):
        store.append(rows[start : start + 500])
    return store


def delete_before(store: SqliteStore, at_us: int) -> int:
    steps = 0
    while store.tidy(keep_from_us=at_us):
        steps += 1
    return steps


def test_rows_go_and_their_sums_stay(tmp_path: Path) -> None:
    rows = [own(n) for n in range(6000)]
    store = filled(tmp_path, rows)
    before, users = store.totals(ALL), store.users(ALL, limit=100)
    store.close()
    size = store.path.stat().st_size

    delete_before(store, rows[5000].created_at_us)
    by_user, _ = store.generations(Filter("default", user="user-7"), limit=1000, before=None)

    assert store.count_rows() == 1000
    assert store.generation(rows[4999].id) is None
    assert store.generation(rows[5000].id) == rows[5000]
    assert [row.id for row in by_user] == [r.id for r in rows[:4999:-1] if r.end_user == "user-7"]
    assert store.totals(ALL) == before
    assert store.users(ALL, limit=100) == users
    assert list(store.verify()) == []
    store.close()
    assert store.path.stat().st_size < size


def test_each_step_is_short(tmp_path: Path) -> None:
    rows = [own(n) for n in range(FOLD_ROWS + 2000)]
    store = filled(tmp_path, rows)
    longest_s = 0.0

    more = True
    while more:
        began = time.thread_time()
        more = store.tidy(keep_from_us=rows[-1].created_at_us)
        longest_s = max(longest_s, time.thread_time() - began)

    assert longest_s < 0.25
    assert store.count_rows() == 1
    store.close()


def test_foreign_ids_go_with_their_rows(tmp_path: Path) -> None:
    rows = [generation(n, created_at_us=AT_US + n) for n in range(10)]
    store = filled(tmp_path, rows)

    delete_before(store, AT_US + 5)
    store.append(rows[5:])

    assert store.count_rows() == 5
    assert [store.generation(row.id) for row in rows] == [None] * 5 + rows[5:]
    assert list(store.verify()) == []
    store.close()


def test_the_writer_deletes_while_it_writes(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    now_us = time.time_ns() // 1000
    old = [generation(n, created_at_us=now_us - 3 * DAY_US + n) for n in range(1200)]
    store.append(old)
    assert isinstance(store, Tidy)

    async def session() -> None:
        writer = LedgerWriter(store, LedgerSettings(keep_days=2))
        writer.start()
        number = 5000
        while store.count_rows() > number - 5000:
            row = generation(number, created_at_us=now_us + number)
            assert await asyncio.wait_for(writer.settle(row), 5)
            number += 1
        writer.stop()

    asyncio.run(asyncio.wait_for(session(), 60))

    assert store.generation(old[0].id) is None
    assert store.totals(ALL).requests > 1200
    assert list(store.verify()) == []
    store.close()


@pytest.mark.parametrize("rows", [1, FOLD_ROWS + 10])
def test_nothing_is_deleted_where_nothing_is_due(tmp_path: Path, rows: int) -> None:
    store = filled(tmp_path, [own(n, step_us=1000) for n in range(rows)])

    while store.tidy(keep_from_us=None):
        pass
    more = store.tidy(keep_from_us=AT_US)

    assert not more
    assert store.count_rows() == rows
    assert store.totals(ALL).requests == rows
    store.close()


def test_a_row_like_a_deleted_one_is_a_new_one(tmp_path: Path) -> None:
    rows = [own(n) for n in range(3)]
    store = filled(tmp_path, rows)
    delete_before(store, rows[1].created_at_us)

    store.append([replace(own(10), model="new")])

    assert store.count_rows() == 3
    store.close()
