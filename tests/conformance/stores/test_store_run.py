"""Any report against the slow truth: random ledgers, questions, time zones, clock changes."""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from conformance.stores.ledgers import HOUR_US, NOON_US, generation, ledgers
from conformance.stores.slow_reports import DIMENSIONS, METRICS, answer, as_answer
from regulars.model.generation import Attempt, Generation
from regulars.reports import definitions
from regulars.reports.schema import (
    Condition,
    Order,
    ReportError,
    ReportQuery,
    ReportResult,
    Window,
)
from regulars.stores.base import StoreTimeoutError
from regulars.stores.sqlite import SqliteStore, open_store

# Near each of them the clocks of its zone change: by an hour, by half of one, at midnight.
CHANGES = {
    "Europe/Berlin": "2025-10-26T01:00+00:00",
    "America/New_York": "2025-03-09T07:00+00:00",
    "Australia/Lord_Howe": "2025-04-05T15:00+00:00",
    "Africa/Cairo": "2025-04-24T22:00+00:00",
    "America/Havana": "2025-11-02T05:00+00:00",
    "Asia/Kathmandu": "2025-01-01T00:00+00:00",
    "UTC": "2024-12-31T23:00+00:00",
}


@st.composite
def rich_ledgers(draw: st.DrawFn, centre_us: int) -> list[Generation]:
    """Draw rows around a moment, with all that dimensions and figures read."""
    rows: list[Generation] = []
    for row in draw(ledgers()):
        reason = draw(st.sampled_from([None, "warm-user", "cold"]))
        rows.append(
            changed(
                row,
                created_at_us=row.created_at_us - NOON_US + centre_us,
                streamed=draw(st.booleans()),
                session=draw(st.sampled_from([None, "s1", "s2", "é%_"])),
                finish_reason=draw(st.sampled_from([None, "stop", "length"])),
                app=draw(st.sampled_from([None, "Shop", "Desk"])),
                ttft_ms=draw(st.none() | st.integers(1, 1000).map(float)),
                duration_ms=float(draw(st.integers(0, 5000))),
                attempts=(Attempt("a/m", "a", reason, 200, None, 0.0, 1.0),) if reason else (),
            )
        )
    return rows


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """Draw a condition that some rows meet."""
    name = draw(st.sampled_from(sorted(DIMENSIONS)))
    known: dict[str, list[Any]] = {
        "user": [None, "ann", "bob", "stranger"],
        "session": [None, "s1", "é%_"],
        "model": ["m1", "m2", "m3"],
        "provider": [None, "alpha"],
        "endpoint": [None, "beta/b"],
        "key": ["key-1", "key-9"],
        "outcome": ["completed", "refused"],
        "finish_reason": [None, "stop"],
        "app": [None, "Shop"],
        "routing_reason": [None, "cold"],
        "streamed": [True, False],
    }
    values = st.sampled_from(known[name])
    operator = draw(st.sampled_from(definitions.OPERATORS))
    if operator == "contains" and name in ("outcome", "streamed"):
        operator = "eq"
    if operator == "contains":
        return Condition(name, operator, (draw(st.sampled_from(["S", "a", "%"])),))
    if operator in ("eq", "neq"):
        return Condition(name, operator, (draw(values),))
    return Condition(name, operator, tuple(draw(st.lists(values, max_size=3))))


@st.composite
def questions(draw: st.DrawFn, zone: str, centre_us: int) -> ReportQuery:
    """Draw a question about the days around a moment."""
    step = draw(st.sampled_from((None, *definitions.STEPS)))
    # Minutes only of some hours: their number is bounded.
    hours = 20 if step == "minute" else 80
    ends = sorted(
        centre_us + draw(st.integers(-hours, hours)) * HOUR_US + draw(st.integers(-1, 1))
        for _ in range(2)
    )
    window = Window(*ends) if step or draw(st.booleans()) else Window()
    names = st.sampled_from(sorted(definitions.METRICS))
    return ReportQuery(
        account=draw(st.sampled_from(["default", "default", "nobody"])),
        metrics=tuple(draw(st.lists(names, min_size=1, max_size=6, unique=True))),
        dimensions=tuple(
            draw(st.lists(st.sampled_from(sorted(DIMENSIONS)), max_size=2, unique=True))
        ),
        where=tuple(draw(st.lists(conditions(), max_size=2))),
        window=window,
        step=step,
        zone=zone,
    )


@contextmanager
def filled(rows: list[Generation]) -> Generator[SqliteStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder)}/ledger.db")
        # Some folded, some in the tail.
        store.append(rows[: len(rows) // 2])
        store.fold()
        store.append(rows)
        yield store
        store.close()


def as_found(result: ReportResult, query: ReportQuery) -> dict[Any, Any]:
    found = [as_answer(result.columns, row, query) for row in result.rows]
    assert len({key for key, _ in found}) == len(found), "a group came twice"
    return {key: [_near(value) for value in metrics] for key, metrics in found}


def _near(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9) if isinstance(value, float) else value


@pytest.mark.parametrize("zone", CHANGES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_report_agrees_with_the_rows(zone: str, data: st.DataObject) -> None:
    centre_us = int(datetime.fromisoformat(CHANGES[zone]).timestamp()) * 1_000_000
    rows = data.draw(rich_ledgers(centre_us))
    asked = [data.draw(questions(zone, centre_us)) for _ in range(4)]

    with filled(rows) as store:
        for query in asked:
            result = store.run(query)

            assert result.cut is None
            assert as_found(result, query) == answer(rows, query)


@settings(max_examples=15, deadline=None)
@given(data=st.data(), size=st.integers(1, 4))
def test_pages_of_an_answer_are_the_answer(data: st.DataObject, size: int) -> None:
    rows = data.draw(rich_ledgers(NOON_US))
    metric = data.draw(st.sampled_from(["cost", "cached_share", "requests", "ttft_p50"]))
    dimensions = data.draw(st.sampled_from([("user",), ("user", "model"), ("session",)]))
    by = data.draw(st.sampled_from([metric, *dimensions]))
    whole = ReportQuery(
        account="default",
        metrics=(metric, "requests") if metric != "requests" else (metric,),
        dimensions=dimensions,
        order=(Order(by, descending=data.draw(st.booleans())),),
    )

    with filled(rows) as store:
        everything = store.run(whole)
        pages, cursor = list[Any](), None
        for _ in range(len(everything.rows) + 1):
            page = store.run(replace(whole, limit=size, cursor=cursor))
            pages += page.rows
            cursor = page.next
            assert (page.cut is None) == (cursor is None)
            if cursor is None:
                break

    assert tuple(pages) == everything.rows


@pytest.mark.parametrize(
    "change",
    [
        {"order": (Order("requests"),)},
        {"order": (Order("cost", descending=False),)},
        {"where": (Condition("user", "neq", ("u1",)),)},
        {"dimensions": ("session",)},
        {"metrics": ("requests", "cost"), "order": ()},
    ],
    ids=["metric", "direction", "filter", "dimension", "unsorted"],
)
def test_a_cursor_of_another_question_is_refused(
    store: SqliteStore, change: dict[str, Any]
) -> None:
    store.append([generation(n, end_user=f"u{n}", session=f"s{n}") for n in range(5)])
    query = ReportQuery(
        account="default",
        metrics=("cost", "requests"),
        dimensions=("user",),
        order=(Order("cost"),),
        limit=2,
    )
    first = store.run(query)

    with pytest.raises(ReportError, match="cursor: is not the next_cursor"):
        store.run(replace(query, cursor=first.next, **change))

    assert len(store.run(replace(query, cursor=first.next, window=Window(1))).rows) == 2


def test_the_slow_truth_knows_every_definition() -> None:
    assert set(METRICS) == set(definitions.METRICS)
    assert set(DIMENSIONS) == set(definitions.DIMENSIONS)


def test_a_cut_answer_says_so(store: SqliteStore) -> None:
    store.append([generation(n, end_user=f"u{n}") for n in range(5)])
    query = ReportQuery(account="default", metrics=("requests",), dimensions=("user",), limit=3)

    result = store.run(query)

    assert len(result.rows) == 3
    assert result.cut == "limit: there are more than 3 groups"
    assert store.run(replace(query, limit=5)).cut is None


def test_the_day_the_clock_goes_back_has_25_hours(store: SqliteStore) -> None:
    begin = int(datetime(2025, 10, 25, 22, tzinfo=UTC).timestamp()) * 1_000_000
    store.append([generation(n, created_at_us=begin + n * HOUR_US) for n in range(26)])
    query = ReportQuery(
        account="default",
        metrics=("requests",),
        window=Window(begin, begin + 26 * HOUR_US),
        step="day",
        zone="Europe/Berlin",
    )

    days = store.run(query)
    hours = store.run(replace(query, step="hour"))

    assert [row[1] for row in days.rows] == [25, 1]
    assert [row[1] for row in hours.rows] == [1] * 26


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metrics": ()}, "metrics: none asked for"),
        ({"metrics": ("reqests",)}, "metrics: 'reqests' is not known; known: requests"),
        ({"dimensions": ("member",)}, "dimensions: 'member' is not known; known: user"),
        ({"zone": "Mars/Olympus"}, "time zone: 'Mars/Olympus' is not known"),
        ({"zone": "../etc/passwd"}, "time zone: '../etc/passwd' is not known"),
        ({"zone": "Europe"}, "time zone: 'Europe' is not known"),
        ({"step": "day"}, "time: a granularity needs both ends"),
        ({"step": "minute", "window": Window(0, 10**16)}, "ask for a coarser one"),
        ({"order": (Order("cost"),)}, "order_by: 'cost' is not known; known: requests"),
        ({"cursor": "Zm9v"}, "cursor: is not the next_cursor"),
        ({"cursor": "é"}, "cursor: is not the next_cursor"),
        ({"limit": 0}, "limit: 0 is not a number from 1"),
    ],
)
def test_a_wrong_question_is_told_precisely(
    store: SqliteStore, change: dict[str, Any], words: str
) -> None:
    store.append([generation(0, created_at_us=1), generation(1, created_at_us=4 * 10**15)])
    query = replace(ReportQuery(account="default", metrics=("requests",)), **change)

    with pytest.raises(ReportError) as caught:
        store.run(query)

    assert words in str(caught.value)


def test_a_question_that_takes_too_long_ends(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(n, session=f"s{n}") for n in range(3000)])
    store.close()
    hurried = SqliteStore(store.path, query_time_max_s=0.0)
    query = ReportQuery(account="default", metrics=("requests",), dimensions=("session",))

    with pytest.raises(StoreTimeoutError, match="ask for a shorter time"):
        hurried.run(query)

    hurried.close()
