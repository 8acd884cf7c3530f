"""How reports reach their rows: by seeks in the right tree, whatever is in the others."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.stores.ledgers import DAY_US, HOUR_US, NOON_US, generation
from regulars.reports.schema import Condition, ReportQuery, Step, Window
from regulars.reports.windows import Bucket, buckets, zone_named
from regulars.stores.base import Filter
from regulars.stores.sqlite import open_store
from regulars.stores.sqlite.compile import Wheres, compile_query
from regulars.stores.sqlite.listing import hours_query, page_query, quarters_query
from regulars.stores.sqlite.own_rows import aggregates, folded_query

MORNING_US = NOON_US // DAY_US * DAY_US
WEEKS = Window(MORNING_US - 20 * DAY_US, MORNING_US + 20 * DAY_US)
ODD = Window(MORNING_US - 19 * DAY_US, MORNING_US + 20 * DAY_US)
ROUGH = Window(WEEKS.from_us, MORNING_US + HOUR_US + 1)
PLAIN = ReportQuery(account="default", metrics=("requests", "cost"), window=WEEKS)
ANN = (Condition("user", "eq", ("ann",)),)
ONE = Wheres((), (), {"account": 1, "user_ids": "[1]"}, (1,))
ALL = Wheres((), (), {"account": 1})

BLOCKS = "SEARCH blocks USING PRIMARY KEY (account_id=? AND block>? AND block<?)"
DAILY = "SEARCH daily USING PRIMARY KEY (account_id=? AND day>? AND day<?)"
DAILY_OF_ONE = "SEARCH daily USING PRIMARY KEY (account_id=? AND day=? AND end_user_id=?)"
DAYS = "SEARCH days USING PRIMARY KEY (account_id=? AND day>? AND day<?)"
PAIRS = "SEARCH pairs USING PRIMARY KEY (account_id=? AND pair>? AND pair<?)"
HOURLY = "SEARCH hourly USING PRIMARY KEY (account_id=? AND hour>? AND hour<?)"
QUARTERS = "SEARCH quarters USING PRIMARY KEY (account_id=? AND quarter>? AND quarter<?)"
ROWS = "SEARCH generation USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
ROWS_OF_ONE = "SEARCH by_user USING PRIMARY KEY (user_id=? AND row>? AND row<?)"
BILLED = "SEARCH billed USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
BILLED_OF_ONE = "SEARCH billed USING INDEX billed_by_user (end_user_id=? AND rowid>? AND rowid<?)"
TAIL = "SEARCH tail USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"


def plan(path: Path, sql: str, values: dict[str, object]) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    finally:
        connection.close()


def searched(steps: list[str]) -> set[str]:
    """The ledger's trees that a plan touches, and how."""
    own = (
        "hourly ",
        "quarters ",
        "daily ",
        "days ",
        "pairs ",
        "blocks ",
        "generation ",
        "by_user ",
        "tail ",
        "billed ",
    )
    return {
        step for step in steps if step.split(" ", 1)[1].startswith(own) and "(rowid=?)" not in step
    }


@pytest.mark.parametrize(
    ("query", "wheres", "step", "touched"),
    [
        (PLAIN, ALL, None, {HOURLY}),
        (replace(PLAIN, dimensions=("model",)), ALL, "day", {HOURLY}),
        (replace(PLAIN, window=ROUGH), ALL, None, {HOURLY, ROWS}),
        (replace(PLAIN, dimensions=("user",)), ALL, None, {BLOCKS, PAIRS, TAIL}),
        (
            replace(PLAIN, dimensions=("user",), window=ODD),
            ALL,
            None,
            {BLOCKS, PAIRS, DAYS, TAIL},
        ),
        (replace(PLAIN, metrics=("cost_prompt",)), ALL, None, {HOURLY}),
        (replace(PLAIN, metrics=("byok_cost",)), ALL, None, {HOURLY, BILLED}),
        (
            replace(PLAIN, dimensions=("model",), metrics=("byok_cost",), where=ANN),
            ONE,
            "day",
            {DAILY_OF_ONE, TAIL, BILLED_OF_ONE},
        ),
        (replace(PLAIN, zone="Asia/Kathmandu"), ALL, "day", {HOURLY, QUARTERS, TAIL}),
        (replace(PLAIN, dimensions=("user", "model")), ALL, None, {DAILY, TAIL}),
        (replace(PLAIN, dimensions=("model",), where=ANN), ONE, "day", {DAILY_OF_ONE, TAIL}),
        (replace(PLAIN, dimensions=("session",)), ONE, None, {ROWS_OF_ONE, TAIL}),
        (replace(PLAIN, metrics=("ttft_p90",)), ALL, None, {ROWS}),
        (replace(PLAIN, dimensions=("app",)), ALL, None, {ROWS}),
    ],
    ids=[
        "sums",
        "day-model",
        "edges",
        "users",
        "odd-users",
        "cost-part",
        "billed",
        "billed-of-one",
        "kathmandu",
        "user-model",
        "one",
        "sessions",
        "p90",
        "app",
    ],
)
def test_a_report_seeks_in_the_coarsest_tree_that_knows(
    tmp_path: Path, query: ReportQuery, wheres: Wheres, step: Step | None, touched: set[str]
) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(n, end_user=f"u{n % 7}") for n in range(200)])
    window = query.window
    assert window.from_us is not None
    assert window.to_us is not None
    spans = (
        buckets(window, step, zone_named(query.zone))
        if step
        else [Bucket(window.from_us, window.from_us, window.to_us)]
    )

    compiled = compile_query(replace(query, step=step), wheres, spans)

    steps = plan(store.path, compiled.sql, compiled.values)
    store.close()
    assert searched(steps) == touched


def test_latencies_of_people_are_read_on_in_their_own_tree_and_sorted_by_nothing(
    tmp_path: Path,
) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(n, end_user=f"u{n % 7}") for n in range(200)])
    store.close()
    values: dict[str, object] = {"ids": "[1, 2]", "first": 0, "past": 1}

    steps = plan(store.path, folded_query(aggregates(["duration_p90", "ttft_mean"])), values)

    assert searched(steps) == {ROWS_OF_ONE}
    assert not any("TEMP B-TREE" in step or "generation" in step for step in steps)


def test_a_list_by_model_seeks_its_hours_and_only_their_rows(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(n) for n in range(200)])
    store.close()
    where = Filter("default", model="meta/llama")
    values: dict[str, object] = {
        "account": "default",
        "model": "meta/llama",
        "from_row": 1,
        "to_row": 2,
        "limit": 10,
    }
    query = page_query(where, "generation", values)

    hours = plan(store.path, hours_query(where), values | {"from_hour": 0, "to_hour": 1})
    quarters = plan(store.path, quarters_query(where), values | {"hour": 1})
    rows = plan(store.path, query, values)

    assert searched(hours) == {HOURLY}
    assert searched(quarters) == {QUARTERS}
    assert searched(rows) == {ROWS}
    assert not any("TEMP B-TREE" in step for step in [*hours, *quarters, *rows])
