"""Everybody is ranked a stretch of people's numbers at a time, as if at once."""

import sqlite3
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from random import Random

import pytest

from conformance.stores.ledgers import DAY_US, NOON_US, generation
from conformance.stores.slow_reports import answer
from regulars.model.generation import Generation
from regulars.reports.schema import Condition, Order, ReportQuery, Window
from regulars.reports.windows import Bucket
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.compile import Wheres
from regulars.stores.sqlite.stretches import STRETCH_PEOPLE, STRETCHES_MAX, compile_stretches

MORNING_US = NOON_US // DAY_US * DAY_US
PEOPLE = STRETCH_PEOPLE + 500
BUSY = 40
"""Numbers of people on both sides of a stretch's end."""
BEGIN_US, END_US = MORNING_US - 19 * DAY_US, MORNING_US + 11 * DAY_US
NAMED = (Condition("user", "neq", (None,)),)
MONTH = ReportQuery(
    account="default",
    metrics=("cost",),
    window=Window(BEGIN_US, END_US),
    dimensions=("user",),
    where=NAMED,
    order=(Order("cost"),),
    limit=15,
)


def crowd() -> list[Generation]:
    """Rows of everybody on one day, and of a few people on both sides of a stretch's end."""
    chance = Random(6)
    busy = [f"u{STRETCH_PEOPLE + n}" for n in range(-BUSY // 2, BUSY // 2)] + [None]
    each = [
        generation(number, end_user=f"u{number}", created_at_us=MORNING_US - 30 * DAY_US + number)
        for number in range(PEOPLE)
    ]
    more = [
        generation(
            PEOPLE + number,
            end_user=chance.choice(busy),
            created_at_us=MORNING_US + chance.randrange(-24 * DAY_US, 14 * DAY_US),
        )
        for number in range(2000)
    ]
    return each + more


@pytest.fixture(scope="module")
def rows() -> list[Generation]:
    return crowd()


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Generation]
) -> Generator[SqliteStore]:
    path = tmp_path_factory.mktemp("stretches") / "ledger.db"
    opened = open_store(f"sqlite:///{path}")
    opened.append(rows[:-300])
    opened.fold()
    opened.append(rows[-300:])
    yield opened
    opened.close()


@pytest.mark.parametrize("metric", ["cost", "cached_share", "last_seen", "requests"])
@pytest.mark.parametrize("where", [NAMED, ()])
@pytest.mark.parametrize("shift", [0, 3, 5])
def test_a_ranking_over_stretches_is_that_of_all_rows(
    store: SqliteStore,
    rows: list[Generation],
    metric: str,
    where: tuple[Condition, ...],
    shift: int,
) -> None:
    window = Window(BEGIN_US + shift * DAY_US, END_US + shift * DAY_US)
    query = replace(MONTH, metrics=(metric,), order=(Order(metric),), where=where, window=window)

    found = {(row[0],): [row[1]] for row in store.run(query).rows}

    expected = answer(rows, query)
    greatest = sorted((float(str(row[0])) for row in expected.values()), reverse=True)[
        : query.limit
    ]
    assert [row[0] for row in found.values()] == greatest
    assert {who: expected[who] for who in found} == found


def test_pages_of_a_ranking_go_on_where_the_last_ended(store: SqliteStore) -> None:
    whole = store.run(replace(MONTH, limit=30)).rows

    first = store.run(MONTH)
    second = store.run(replace(MONTH, cursor=first.next))

    assert first.rows + second.rows == whole


def test_who_was_only_there_before_the_window_is_not_ranked(
    store: SqliteStore, rows: list[Generation]
) -> None:
    few = Window(MORNING_US - 29 * DAY_US, MORNING_US + 14 * DAY_US)
    query = replace(MONTH, window=few, limit=1000)

    assert {row[0] for row in store.run(query).rows} == {who for (who,) in answer(rows, query)}


def test_the_statement_has_a_bounded_number_of_stretches() -> None:
    span = Bucket(BEGIN_US, BEGIN_US, END_US)

    found = compile_stretches(MONTH, Wheres((), (), {"account": 1}), [span], 90_000_000)

    assert found is not None
    assert len(found.selects) == STRETCHES_MAX


def test_a_stretch_is_sought_in_each_unit(store: SqliteStore) -> None:
    span = Bucket(BEGIN_US, BEGIN_US, END_US)
    everyone = Wheres((), (), {"account": 1}, named_only=True)
    found = compile_stretches(MONTH, everyone, [span], PEOPLE)
    assert found is not None

    sql = f"EXPLAIN QUERY PLAN WITH {', '.join(found.tables)} {found.selects[1]}"
    with closing(sqlite3.connect(store.path)) as connection:
        plan = "\n".join(row[3] for row in connection.execute(sql, found.values))

    sought = "(account_id=? AND block=? AND end_user_id>? AND end_user_id<?)"
    assert f"SEARCH blocks USING PRIMARY KEY {sought}" in plan
    assert "SCAN generation" not in plan
