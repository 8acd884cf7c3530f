"""Laws of the ledger's file: ids are found, batches and folds change no sums, nothing is twice."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from conformance.stores.ledgers import generation, ledgers, sums
from regulars.model.generation import Generation
from regulars.model.ids import GENERATION_RANDOM_BITS, generation_id
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.places import PLACES, chance_of, place, time_at, time_of

ALL = Filter(account="default")
times_us = st.integers(0, 2**51)
chances = st.integers(0, 2**GENERATION_RANDOM_BITS - 1)


@contextmanager
def store() -> Generator[SqliteStore]:
    with tempfile.TemporaryDirectory() as folder:
        opened = open_store(f"sqlite:///{Path(folder)}/ledger.db")
        yield opened
        opened.close()


@given(at_us=times_us, chance=chances)
def test_an_id_of_ours_tells_its_time_and_place(at_us: int, chance: int) -> None:
    made = generation_id(at_us, chance)

    assert time_of(made) == at_us
    assert chance_of(made, at_us) == chance
    assert time_at(place(at_us, chance)) == at_us
    assert 0 <= place(at_us, chance) < 2**63


@given(
    text=st.text(max_size=40)
    | st.from_regex(r"gen-[0-9 +_]{1,12}-[0-9a-fA-F_+ ]{18,22}", fullmatch=True)
)
def test_only_what_we_would_write_is_an_id_of_ours(text: str) -> None:
    at_us = time_of(text)

    chance = None if at_us is None else chance_of(text, at_us)

    assert chance is None or (at_us is not None and generation_id(at_us, chance) == text)


@given(first_us=times_us, later_us=st.integers(1, 10**9), a=chances, b=chances)
def test_row_order_is_time_order(first_us: int, later_us: int, a: int, b: int) -> None:
    assert place(first_us, a) < place(first_us + later_us, b)


# Few microseconds and few last bits: most ids meet one whose place is theirs.
_crowded = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None)
@given(drawn=_crowded, batch=st.integers(1, 30))
def test_ids_that_collide_are_kept_and_found_each(
    drawn: list[tuple[int, int, int]], batch: int
) -> None:
    rows = [
        generation(
            id=generation_id(10**15 + at, high * PLACES + low),
            created_at_us=10**15 + at,
            end_user=f"u{high}",
        )
        for at, high, low in drawn
    ]
    by_id = {row.id: row for row in reversed(rows)}

    with store() as kept:
        for start in range(0, len(rows), batch):
            kept.append(rows[start : start + batch])
        kept.append(rows)
        found = {row_id: kept.generation(row_id) for row_id in by_id}
        page, _ = kept.generations(ALL, limit=100, before=None)
        differences = list(kept.verify())
        total = kept.totals(ALL).requests

    assert found == by_id
    assert {row.id for row in page} == set(by_id)
    assert len(page) == total == len(by_id)
    assert not differences


@settings(max_examples=40, deadline=None)
@given(
    rows=ledgers(), cuts=st.lists(st.integers(1, 12), max_size=8), folds=st.sets(st.integers(0, 8))
)
def test_neither_batches_nor_folds_change_a_sum(
    rows: list[Generation], cuts: list[int], folds: set[int]
) -> None:
    mine = [row for row in rows if row.account == "default"]

    with store() as kept:
        start = 0
        for number, size in enumerate([*cuts, len(rows)]):
            kept.append(rows[start : start + size])
            start += size
            if number in folds:
                kept.fold()
        totals = kept.totals(ALL)
        users = {row.user: row.sums for row in kept.users(ALL, limit=50)}
        many = {row.user: row.sums for row in kept.users(ALL, limit=5000)}
        differences = list(kept.verify())

    assert totals == sums(mine)
    assert users == many
    assert users == {
        name: sums(row for row in mine if row.end_user == name)
        for name in {row.end_user for row in mine}
    }
    assert not differences


def test_a_microsecond_has_room_for_its_places_and_no_more() -> None:
    rows = [generation(n, created_at_us=5) for n in range(PLACES)]
    with store() as kept:
        kept.append(rows)
        kept.append([replace(rows[0], id=generation_id(6, 1), created_at_us=6)])
        page, _ = kept.generations(ALL, limit=PLACES + 1, before=None)

    assert [row.id for row in page[1:]] == [row.id for row in reversed(rows)]
