"""What providers bill to keys of our own, by whom and for what: equal to the rows, whatever happens."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from conformance.stores.ledgers import DAY_US, HOUR_US, NOON_US, generation
from conformance.stores.slow_reports import answer, as_answer
from conformance.stores.test_store_run import filled
from regulars.model.generation import Generation
from regulars.reports.schema import Condition, Order, ReportQuery, Window
from regulars.stores.sqlite import SqliteStore

ASKED = ReportQuery(account="default", metrics=("byok_cost", "cost", "requests"))
BY_USER = replace(ASKED, dimensions=("user",))


def billed(number: int, byok: int | None, **fields: object) -> Generation:
    row = generation(number, **fields)
    assert row.cost is not None
    return changed(row, cost=changed(row.cost, byok=byok))


def agrees(store: SqliteStore, rows: list[Generation], query: ReportQuery) -> None:
    result = store.run(query)
    found = dict(as_answer(result.columns, row, query) for row in result.rows)
    assert found == answer(rows, query)


@st.composite
def billed_ledgers(draw: st.DrawFn) -> list[Generation]:
    """Draw rows of which many, few or none were billed elsewhere, some in one microsecond."""
    often = draw(st.sampled_from([0, 1, 9]))
    return [
        billed(
            number,
            draw(st.integers(0, 1500)) if draw(st.integers(0, 9)) < often else None,
            created_at_us=NOON_US + draw(st.integers(-60, 60)) * HOUR_US + draw(st.integers(-1, 1)),
            account=draw(st.sampled_from(["default", "default", "other"])),
            end_user=draw(st.sampled_from([None, "ann", "bob"])),
            model=draw(st.sampled_from(["m1", "m2"])),
            session=draw(st.sampled_from([None, "s1"])),
        )
        for number in range(draw(st.integers(0, 25)))
    ]


@settings(max_examples=25, deadline=None)
@given(rows=billed_ledgers(), data=st.data())
def test_it_is_what_the_rows_add_up_to(rows: list[Generation], data: st.DataObject) -> None:
    ends = sorted(
        NOON_US + data.draw(st.integers(-70, 70)) * HOUR_US + data.draw(st.integers(-1, 1))
        for _ in range(2)
    )
    dimensions = st.lists(
        st.sampled_from(["user", "model", "endpoint", "key", "session"]), max_size=3, unique=True
    )
    wheres = st.sampled_from(
        [
            (),
            (Condition("user", "eq", ("ann",)),),
            (Condition("user", "neq", (None,)),),
            (Condition("model", "in", ("m1", "m3")),),
        ]
    )
    query = replace(
        ASKED,
        metrics=data.draw(
            st.sampled_from(
                [("byok_cost",), ASKED.metrics, ("byok_cost", "users", "last_seen", "duration_p50")]
            )
        ),
        dimensions=tuple(data.draw(dimensions)),
        where=data.draw(wheres),
        window=Window(*ends),
        step=data.draw(st.sampled_from([None, "hour", "day"])),
        zone=data.draw(st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"])),
    )

    with filled(rows) as store:
        agrees(store, rows, query)
        assert list(store.verify()) == []


@pytest.mark.parametrize("by", ["byok_cost", "cost"])
def test_people_are_ranked_by_it(store: SqliteStore, by: str) -> None:
    rows = [
        billed(n, n * 100 if n % 3 else None, created_at_us=NOON_US - n * DAY_US, end_user=f"u{n}")
        for n in range(15)
    ]
    store.append(rows)
    store.fold()
    window = Window(NOON_US - 13 * DAY_US - HOUR_US, NOON_US + 1)

    top = store.run(replace(BY_USER, window=window, order=(Order(by),), limit=4)).rows

    truth = answer(rows, replace(BY_USER, window=window))
    place = BY_USER.metrics.index(by)
    figures = [int(found[place] or 0) for found in truth.values()]
    assert [row[1 + place] for row in top] == sorted(figures, reverse=True)[:4]
    assert all(truth[row[:1]] == list(row[1:]) for row in top)


def test_it_stays_where_rows_go(store: SqliteStore) -> None:
    rows = [billed(n, 700 + n, created_at_us=NOON_US - n * DAY_US) for n in range(10)]
    store.append(rows)

    while store.tidy(keep_from_us=NOON_US - 4 * DAY_US):
        pass

    assert store.count_rows() == 5
    by_day = replace(BY_USER, dimensions=("user", "model"), window=Window(0, NOON_US + DAY_US))
    agrees(store, rows, replace(by_day, step="day"))
    assert list(store.verify()) == []


def test_it_follows_a_person_to_another_name(store: SqliteStore) -> None:
    rows = [billed(n, 100 + n, end_user=("ada", "bob")[n % 2]) for n in range(6)]
    store.append(rows[:4])
    store.fold()
    store.append(rows[4:])

    store.alias("default", "bob", "ada")

    agrees(store, [changed(row, end_user="ada") for row in rows], BY_USER)
    assert list(store.verify()) == []


def test_a_row_in_a_taken_place_brings_its_own(store: SqliteStore) -> None:
    rows = [billed(n, 10**n, id=f"foreign-{n}", created_at_us=NOON_US) for n in range(4)]
    store.append(rows[:2])
    store.append(rows)
    store.append(rows)

    agrees(store, rows, BY_USER)
    assert list(store.verify()) == []
