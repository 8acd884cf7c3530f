"""Slices of time: whatever the window, each moment inside counts once, each outside not at all."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.stores.ledgers import DAY_US, HOUR_US, NOON_US, generation
from conformance.stores.slow_reports import answer
from conformance.stores.test_store_run import as_found, filled
from regulars.reports.schema import ReportQuery, Window
from regulars.stores.sqlite.slices import UNIT_US, End, Slice, Table, slices

BEGIN_US = NOON_US // DAY_US * DAY_US
MOMENTS = st.integers(0, 40 * 24).map(lambda hours: BEGIN_US + hours * HOUR_US) | st.integers(
    BEGIN_US, BEGIN_US + 40 * DAY_US
)
WINDOWS = st.tuples(MOMENTS, MOMENTS).map(sorted).filter(lambda ends: ends[0] < ends[1])
ENDS: st.SearchStrategy[set[End]] = st.sets(st.sampled_from(["begin", "end"]))


def holds(part: Slice, at_us: int) -> bool:
    unit = UNIT_US[part.table]
    assert part.start is not None
    assert part.end is not None
    return part.start * unit <= at_us < part.end * unit


@given(window=WINDOWS, table=st.sampled_from(["blocks", "daily", "hourly"]), less=ENDS, at=MOMENTS)
def test_every_moment_inside_counts_once_and_no_other(
    window: list[int], table: Table, less: set[End], at: int
) -> None:
    begin, end = window

    parts = [p for p in slices(table, begin, end, one_user=False, less=less) if p.table != "tail"]

    found = Counter(part.sign for part in parts if holds(part, at))
    assert found[1] - found[-1] == (begin <= at < end)


@settings(max_examples=40, deadline=None)
@given(
    window=WINDOWS,
    times=st.lists(st.tuples(MOMENTS, st.sampled_from("abc")), max_size=12),
    metrics=st.sampled_from(
        [
            ("requests", "cost", "cached_share"),
            ("cost",),
            ("cost", "last_seen"),
            ("users",),
            ("cost", "ttft_p50"),
        ]
    ),
)
def test_users_of_any_window_are_those_of_the_rows(
    window: list[int], times: list[tuple[int, str]], metrics: tuple[str, ...]
) -> None:
    rows = [
        generation(n, created_at_us=at, end_user=user, ttft_ms=float(n))
        for n, (at, user) in enumerate(times)
    ]
    query = ReportQuery(
        account="default",
        metrics=metrics,
        dimensions=("user",),
        window=Window(window[0], window[1]),
    )

    with filled(rows) as store:
        assert as_found(store.run(query), query) == answer(rows, query)
        totals = replace(query, dimensions=())
        assert as_found(store.run(totals), totals) == answer(rows, totals)


def test_seven_days_of_eight_are_a_block_less_a_day() -> None:
    block = 2547
    begin = (block * 8 + 1) * DAY_US

    parts = slices("blocks", begin, begin + 15 * DAY_US, one_user=False, less=("begin",))

    assert Slice("blocks", block, block + 2) in parts
    assert Slice("days", block * 8, block * 8 + 1, -1) in parts
    assert {part.table for part in parts} == {"blocks", "days", "tail"}
