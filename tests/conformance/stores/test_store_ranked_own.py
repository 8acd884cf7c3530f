"""Rankings of people by latency and speed: those of the rows, folded or not, whole or said to be partial."""

import base64
import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from conformance.stores.ledgers import DAY_US, NOON_US, generation
from conformance.stores.slow_reports import answer
from regulars.model.generation import Generation
from regulars.model.tokens import Usage
from regulars.reports.schema import Condition, Order, ReportError, ReportQuery, Window
from regulars.stores.sqlite import SqliteStore
from regulars.stores.sqlite.ranked import RankBounds
from regulars.stores.sqlite.readers import Readers
from regulars.stores.sqlite.run import run_query

OWN = (
    "ttft_mean", "ttft_p50", "ttft_p90", "ttft_p99", "duration_p50", "duration_p90",
    "duration_p99", "tokens_per_second", "throughput_p50", "throughput_p90", "throughput_p99",
)  # fmt: skip
SOMEBODY = Condition("user", "neq", (None,))
FEW = RankBounds(own_exact=10, own_ranked=50)
QUERY = ReportQuery(
    account="default",
    metrics=("requests", "duration_p90", "cost"),
    dimensions=("user",),
    where=(SOMEBODY,),
    order=(Order("duration_p90"),),
)


@st.composite
def timed_rows(draw: st.DrawFn) -> list[Generation]:
    """Draw rows of a few people over three weeks, some without usage or a first token."""
    return [
        generation(
            number,
            created_at_us=NOON_US + draw(st.integers(0, 20 * 24)) * DAY_US // 24 + number,
            account=draw(st.sampled_from(["default", "default", "other"])),
            end_user=draw(st.sampled_from([None, "ann", "bob", "cyd", "dan"])),
            usage=draw(st.none() | st.builds(Usage, st.just(9), st.integers(0, 400))),
            ttft_ms=draw(st.none() | st.integers(0, 10**7).map(_milliseconds)),
            duration_ms=draw(st.integers(0, 10**7).map(_milliseconds)),
        )
        for number in range(draw(st.integers(1, 40)))
    ]


def _milliseconds(us: int) -> float:
    return us / 1000


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_people_are_ranked_as_their_rows_say(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = data.draw(timed_rows())
    folded = data.draw(st.integers(0, len(rows)))
    ends = sorted(NOON_US + data.draw(st.integers(-24, 21 * 24)) * DAY_US // 24 for _ in range(2))
    by = data.draw(st.sampled_from([*OWN, "requests", "cost"]))
    metrics = tuple(dict.fromkeys([by, *data.draw(st.lists(st.sampled_from([*OWN, "cost", "last_seen"]), max_size=4))]))  # fmt: skip
    query = replace(
        QUERY,
        metrics=metrics,
        order=(Order(by, descending=data.draw(st.booleans())),),
        window=data.draw(st.sampled_from([Window(), Window(*ends)])),
    )
    store = open_filled(tmp_path_factory, rows, folded)

    found = store.run(query)
    pages, cursor = list[Any](), None
    for _ in range(6):
        page = store.run(replace(query, limit=1, cursor=cursor))
        pages += page.rows
        cursor = page.next
        if cursor is None:
            break
    store.close()

    truth = answer(rows, query)
    assert {(row[0],): pytest.approx([*row[1:]]) for row in found.rows} == truth
    values = [row[1] for row in found.rows]
    known = [each for each in values if each is not None]
    assert known == sorted(known, reverse=query.order[0].descending)
    assert values[len(known) :] == [None] * (len(values) - len(known))
    assert tuple(pages) == found.rows
    assert (found.cut, found.partial) == (None, False)


def open_filled(
    folders: pytest.TempPathFactory, rows: list[Generation], folded: int
) -> SqliteStore:
    from regulars.stores.sqlite import open_store

    store = open_store(f"sqlite:///{folders.mktemp('own')}/ledger.db")
    store.append(rows[:folded])
    store.fold()
    store.append(rows[folded:])
    return store


def busy_rows() -> list[Generation]:
    """User u1 makes one request, u2 two, … u15 fifteen; the fewer, the slower."""
    users = [f"u{n}" for n in range(16) for _ in range(n)]
    return [
        generation(
            number, end_user=user, duration_ms=9_000_000 // int(user[1:]) / 1000 + number % 7
        )
        for number, user in enumerate(users)
    ]


@pytest.fixture
def readers(store: SqliteStore) -> Generator[Readers]:
    store.append(busy_rows()[::2])
    store.fold()
    store.append(busy_rows()[1::2])
    with closing(Readers(store.path)) as opened:
        yield opened


def test_of_too_many_rows_those_of_the_busiest_are_ranked_and_the_answer_says_so(
    readers: Readers,
) -> None:
    found = run_query(readers, QUERY, FEW)

    truth = answer(busy_rows(), QUERY)
    # 15, 14 and 13 fit into 50, 12 do not.
    assert [row[0] for row in found.rows] == ["u13", "u14", "u15"]
    assert all([*row[1:]] == pytest.approx(truth[row[0],]) for row in found.rows)
    assert found.partial
    assert found.cut is not None
    assert "only 3 of the users with most requests are ranked: there are 120 requests" in found.cut


def test_pages_of_a_partial_ranking_end_and_each_says_so(readers: Readers) -> None:
    first = run_query(readers, replace(QUERY, limit=2), FEW)
    second = run_query(readers, replace(QUERY, limit=2, cursor=first.next), FEW)

    assert [row[0] for row in (*first.rows, *second.rows)] == ["u13", "u14", "u15"]
    assert first.partial
    assert second.partial
    assert second.next is None


EVERYBODY = replace(QUERY, where=())
"""Requests that name nobody are a group too, if there are any."""


def test_without_anonymous_requests_all_are_named(readers: Readers) -> None:
    found = run_query(readers, EVERYBODY, FEW)

    assert found.rows == run_query(readers, QUERY, FEW).rows
    assert found.cut == run_query(readers, QUERY, FEW).cut


@pytest.mark.parametrize("metric", ["duration_p90", "sessions"])
def test_anonymous_requests_take_no_users_place(store: SqliteStore, metric: str) -> None:
    nobody = [generation(1000 + n, end_user=None) for n in range(300)]
    store.append([*busy_rows(), *nobody])
    store.fold()
    query = replace(EVERYBODY, metrics=(metric,), order=(Order(metric),))
    bounds = replace(FEW, exact=10, ranked=50)

    with closing(Readers(store.path)) as readers:
        found = run_query(readers, query, bounds)

    assert {row[0] for row in found.rows} == {"u13", "u14", "u15"}
    assert found.cut is not None
    assert "requests that name nobody are left out" in found.cut


@pytest.mark.parametrize("by", ["duration_p90", "cost"])
def test_anonymous_requests_are_a_group_where_all_are_ranked(store: SqliteStore, by: str) -> None:
    rows = [*busy_rows(), *(generation(1000 + n, end_user=None) for n in range(30))]
    store.append(rows)
    store.fold()
    query = replace(EVERYBODY, order=(Order(by),))

    found = store.run(query)

    assert {(row[0],): [*row[1:]] for row in found.rows} == answer(rows, query)


def test_users_are_all_ranked_where_only_anonymous_requests_are_too_many(
    store: SqliteStore,
) -> None:
    rows = [*busy_rows(), *(generation(1000 + n, end_user=None) for n in range(30))]
    store.append(rows)
    store.fold()

    with closing(Readers(store.path)) as readers:
        found = run_query(readers, EVERYBODY, RankBounds(exact=100, own_exact=1000))

    truth = answer(rows, EVERYBODY)
    assert {(row[0],): [*row[1:]] for row in found.rows} == {
        key: each for key, each in truth.items() if key != (None,)
    }
    assert found.partial
    assert found.cut is not None
    assert found.cut.startswith("requests that name nobody are left out: there are 150 requests")


def test_figures_of_rows_beside_a_ranking_by_sums_are_whole_however_few_may_be_read(
    readers: Readers,
) -> None:
    query = replace(QUERY, order=(Order("cost"),))

    found = run_query(readers, query, RankBounds(own_exact=0, own_ranked=1))

    assert {(row[0],): [*row[1:]] for row in found.rows} == answer(busy_rows(), query)
    assert not found.partial


@pytest.mark.parametrize("forged", [["late", 0, 1], [1, 0, "u1"], [1, 0]])
def test_a_forged_cursor_is_refused(readers: Readers, forged: list[Any]) -> None:
    cursor = run_query(readers, replace(QUERY, limit=1)).next
    assert cursor is not None
    mark, *_ = json.loads(base64.urlsafe_b64decode(cursor))
    made = base64.urlsafe_b64encode(json.dumps([mark, *forged]).encode()).decode()

    with pytest.raises(ReportError, match="cursor: is not the next_cursor"):
        run_query(readers, replace(QUERY, cursor=made))


def test_a_corrected_row_and_a_merged_person_keep_their_figures(store: SqliteStore) -> None:
    rows = busy_rows()
    store.append(rows[:60])
    store.fold()
    store.append(rows[60:])
    store.correct(changed(rows[0], status=499))
    store.alias("default", "u14", "u15")

    found = store.run(QUERY)

    merged = [changed(row, end_user="u15") if row.end_user == "u14" else row for row in rows]
    assert {(row[0],): [*row[1:]] for row in found.rows} == answer(merged, QUERY)
    store.fold()
    assert list(store.verify()) == []


@pytest.mark.parametrize("falls", [True, False])
def test_people_counted_by_user_are_one_each(store: SqliteStore, *, falls: bool) -> None:
    rows = [
        generation(n, end_user=f"u{n % 5}", created_at_us=NOON_US + n * DAY_US) for n in range(40)
    ]
    store.append(rows)
    store.fold()
    query = replace(
        QUERY,
        metrics=("users", "requests"),
        order=(Order("users", descending=falls),),
        window=Window(NOON_US + 3 * DAY_US, NOON_US + 6 * DAY_US),
    )

    found = store.run(query)

    assert {(row[0],): [*row[1:]] for row in found.rows} == answer(rows, query)
