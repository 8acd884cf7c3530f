"""Reports against slow sums over the raw rows, for random ledgers, filters and ranges."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.stores.ledgers import (
    DAY_US,
    HOUR_US,
    NOON_US,
    day,
    filters,
    generation,
    ledgers,
    selected,
    sums,
)
from regulars.model.generation import Generation
from regulars.model.money import Cost
from regulars.stores.base import Filter, GroupBy, Step
from regulars.stores.sqlite import SqliteStore, open_store

STEPS: dict[Step, int] = {"minute": 60_000_000, "hour": HOUR_US, "day": DAY_US}


@contextmanager
def filled(rows: list[Generation]) -> Generator[SqliteStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder)}/ledger.db")
        # In pieces, so that upserts meet groups that exist; one piece twice.
        store.append(rows[:7])
        store.append(rows)
        yield store
        store.close()


def grouped(
    rows: list[Generation], key: Callable[[Generation], Any]
) -> dict[Any, list[Generation]]:
    groups: dict[Any, list[Generation]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


@settings(max_examples=60, deadline=None)
@given(rows=ledgers(), wheres=st.lists(filters, min_size=4, max_size=4))
def test_every_report_agrees_with_the_rows(rows: list[Generation], wheres: list[Filter]) -> None:
    with filled(rows) as store:
        for where in wheres:
            check_totals_and_users(store, rows, where)
            check_activity(store, rows, where)
            check_page(store, rows, where)


def check_totals_and_users(store: SqliteStore, rows: list[Generation], where: Filter) -> None:
    wanted = selected(rows, where)
    users = grouped(wanted, lambda row: row.end_user)

    answer = store.users(where, limit=100)

    assert store.totals(where) == sums(wanted)
    assert {row.user: row.sums for row in answer} == {u: sums(r) for u, r in users.items()}
    assert {row.user: row.last_seen_us for row in answer} == {
        user: max(row.created_at_us for row in found) for user, found in users.items()
    }
    order = [(-row.sums.cost_nanousd, -row.sums.requests) for row in answer]
    assert order == sorted(order)


def check_activity(store: SqliteStore, rows: list[Generation], where: Filter) -> None:
    def key(row: Generation) -> tuple[str | None, ...]:
        return (day(row), row.model, row.provider, row.endpoint)

    wanted = selected(rows, where)
    by_user = grouped(wanted, lambda row: (*key(row), row.end_user))

    plain = store.activity(where, by_user=False, limit=1000)
    with_users = store.activity(where, by_user=True, limit=1000)

    assert {(a.day, a.model, a.provider, a.endpoint): a.sums for a in plain} == {
        group: sums(found) for group, found in grouped(wanted, key).items()
    }
    assert {(a.day, a.model, a.provider, a.endpoint, a.user): a.sums for a in with_users} == {
        group: sums(found) for group, found in by_user.items()
    }
    assert [a.day for a in plain] == sorted((a.day or "" for a in plain), reverse=True)


def check_page(store: SqliteStore, rows: list[Generation], where: Filter) -> None:
    page, following = store.generations(where, limit=100, before=None)

    assert {row.id for row in page} == {row.id for row in selected(rows, where)}
    assert following is None
    assert [row.created_at_us for row in page] == sorted(
        (row.created_at_us for row in page), reverse=True
    )


@settings(max_examples=60, deadline=None)
@given(
    rows=ledgers(),
    where=filters,
    step=st.sampled_from(list(STEPS)),
    group_by=st.sampled_from(["user", "model", "provider", "key"]),
)
def test_series_agree_with_the_rows(
    rows: list[Generation], where: Filter, step: Step, group_by: GroupBy
) -> None:
    field = {"user": "end_user", "key": "key_hash"}.get(group_by, group_by)
    wanted = grouped(
        selected(rows, where),
        lambda row: (row.created_at_us // STEPS[step] * STEPS[step], getattr(row, field)),
    )

    with filled(rows) as store:
        points = store.series(where, step=step, group_by=group_by, groups_max=10)
        folded = store.series(where, step=step, group_by=group_by, groups_max=1)

    assert {(p.bucket_us, p.group): p.sums for p in points} == {
        group: sums(found) for group, found in wanted.items()
    }
    assert sum(p.sums.requests for p in folded) == sum(p.sums.requests for p in points)


def test_groups_beyond_the_top_fold_into_other(store: SqliteStore) -> None:
    store.append(
        [generation(n, end_user=f"u{n}", cost=Cost(n * 100, n * 100, 0, 0)) for n in range(1, 5)]
    )

    points = store.series(Filter(account="default"), step="day", group_by="user", groups_max=2)

    assert {p.group: p.sums.cost_nanousd for p in points} == {"u4": 400, "u3": 300, "Other": 300}


def test_users_come_by_cost_then_requests_and_no_more_than_asked(store: SqliteStore) -> None:
    free = Cost(0, 0, 0, 0)
    store.append(
        [generation(n, end_user="often", cost=free) for n in range(3)]
        + [generation(9, end_user="rarely", cost=free), generation(10, end_user="dear")]
    )

    users = store.users(Filter(account="default"), limit=2)

    assert [row.user for row in users] == ["dear", "often"]


@pytest.mark.parametrize("user", ["%", "_", "' OR 1=1 --", "\u202e", "ann\0"])
def test_names_are_values_never_patterns(store: SqliteStore, user: str) -> None:
    store.append([generation(1), generation(2, end_user=user)])

    assert store.totals(Filter(account="default", user=user)).requests == 1


def test_an_empty_or_backward_range_selects_nothing(store: SqliteStore) -> None:
    store.append([generation(0)])

    empty = Filter(account="default", from_us=NOON_US, to_us=NOON_US)
    backward = Filter(account="default", from_us=NOON_US + 5 * DAY_US, to_us=NOON_US - 5 * DAY_US)

    assert store.totals(empty).requests == 0
    assert store.totals(backward).requests == 0
    assert store.users(backward, limit=5) == []
