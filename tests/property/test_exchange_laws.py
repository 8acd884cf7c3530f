"""Any order of events gives exactly one row, and the row's parts agree."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulars.exchange.exchange import (
    CANCELLED,
    COMPLETED,
    INTERRUPTED,
    NOTHING,
    Accepted,
    Answer,
    Exchange,
    failed,
    refused,
)
from regulars.model.catalog import Endpoint, Provider
from regulars.model.errors import (
    InternalError,
    UnavailableError,
    UpstreamClosedError,
    UpstreamTimeoutError,
)
from regulars.model.generation import CostSource, Outcome, UsageSource
from regulars.model.money import Price, ReportedCost
from regulars.model.tokens import Usage

ACCEPTED = Accepted(
    id="gen-1-a",
    created_at_us=1,
    at_s=100.0,
    account="default",
    key_hash="k",
    model="m",
    streamed=True,
    prompt_bytes=400,
    end_user="u",
    session=None,
    app=None,
    referer=None,
    user_agent=None,
)
ENDPOINTS = [
    Endpoint(
        id=name,
        model="m",
        provider=Provider(slug=name, name=name.upper(), dialect="openai", base_url="http://x"),
        upstream_model="m",
        price=price,
    )
    for name, price in (
        ("a", Price(prompt=Decimal("6e-7"), completion=Decimal("8e-7"))),
        ("b", None),
    )
]
ERRORS = [UpstreamClosedError("gone"), UpstreamTimeoutError("late")]
ENDS = [COMPLETED, CANCELLED, INTERRUPTED, failed(ERRORS[0]), refused(UnavailableError("full"))]

counts = st.integers(min_value=-3, max_value=10**6)
usages = st.none() | st.builds(
    Usage,
    prompt_tokens=counts,
    completion_tokens=counts,
    cached_tokens=st.none() | counts,
    cache_write_tokens=st.none() | counts,
)
answers = st.just(NOTHING) | st.builds(
    Answer,
    st.none(),
    usages,
    st.none() | st.sampled_from(["stop", "error"]),
    st.none(),
    st.integers(0, 10_000),
    st.none() | st.builds(ReportedCost, st.integers(0, 10**12), st.none() | st.integers(0, 10**12)),
    st.none() | st.sampled_from(["default", "flex", "priority"]),
)


@settings(max_examples=500, deadline=None)
@given(
    fails=st.lists(
        st.tuples(st.sampled_from(ENDPOINTS), st.sampled_from(ERRORS), answers), max_size=3
    ),
    last=st.none() | st.sampled_from(ENDPOINTS),
    content=st.booleans(),
    end=st.sampled_from(ENDS),
    answer=answers,
)
def test_any_course_ends_in_one_consistent_row(
    fails: list[tuple[Endpoint, UpstreamClosedError, Answer]],
    last: Endpoint | None,
    content: bool,
    end: object,
    answer: Answer,
) -> None:
    exchange = Exchange(ACCEPTED)
    now = 100.0
    said: Answer | None = None
    for endpoint, error, next_said in fails:
        if said is not None:
            exchange.pass_over(said)
        said = next_said
        exchange.begin(endpoint, "cold", now)
        now += 0.5
        exchange.fail(error, now)
    if last is not None:
        if said is not None:
            exchange.pass_over(said)
        exchange.begin(last, "failover", now)
        if content:
            exchange.content(now + 0.25)

    row = exchange.finish(end, answer, now + 1.0)  # type: ignore[arg-type]

    assert row.id == "gen-1-a"
    assert len(row.attempts) == len(fails) + (last is not None)
    assert [attempt.error for attempt in row.attempts[: len(fails)]] == [
        e.code for _, e, _ in fails
    ]
    assert row.duration_ms == pytest.approx((now + 1.0 - 100.0) * 1000)
    assert (row.ttft_ms is None) == (last is None or not content)
    if row.cost is not None:
        assert row.cost.prompt + row.cost.completion == row.cost.total
        own = row.cost.total - sum(cost.total for cost in row.billed_before)
        assert own >= 0
        assert row.usage is not None or own == 0
        assert row.usage is not None or row.billed_before
        reported = answer.cost is not None
        assert row.usage is None or (row.cost_source is CostSource.REPORTED) == reported
    else:
        assert row.cost_source is None
    if row.usage is not None:
        assert 0 <= (row.usage.cached_tokens or 0) <= row.usage.prompt_tokens
        assert (row.usage_source is UsageSource.REPORTED) == (answer.usage is not None)
    with pytest.raises(AssertionError, match="already ended"):
        exchange.finish(COMPLETED, NOTHING, now + 2.0)


def test_a_second_endpoint_after_content_is_a_mistake() -> None:
    exchange = Exchange(ACCEPTED)
    exchange.begin(ENDPOINTS[0], "cold", 100.0)
    exchange.content(100.1)

    with pytest.raises(AssertionError, match="no second endpoint"):
        exchange.begin(ENDPOINTS[1], "failover", 100.2)


def test_a_cut_stream_is_estimated_and_marked() -> None:
    exchange = Exchange(ACCEPTED)
    exchange.begin(ENDPOINTS[0], "cold", 100.0)
    exchange.content(100.1)

    row = exchange.finish(CANCELLED, Answer("id", None, None, None, 80), 101.0)

    assert row.outcome is Outcome.CANCELLED
    assert row.usage == Usage(100, 20)
    assert row.usage_source is UsageSource.ESTIMATED
    assert row.cost is not None
    assert row.cost.total == 100 * 600 + 20 * 800


def test_a_failure_without_any_answer_costs_nothing() -> None:
    exchange = Exchange(ACCEPTED)
    exchange.begin(ENDPOINTS[0], "cold", 100.0)
    exchange.fail(ERRORS[0], 100.5)

    row = exchange.finish(failed(ERRORS[0]), NOTHING, 100.5)

    assert (row.usage, row.cost, row.status) == (None, None, 502)
    assert row.provider == "A"


def test_an_unknown_price_is_unknown_not_zero() -> None:
    exchange = Exchange(ACCEPTED)
    exchange.begin(ENDPOINTS[1], "cold", 100.0)

    row = exchange.finish(COMPLETED, Answer(None, Usage(5, 5), "stop", "stop", 3), 101.0)

    assert row.cost is None
    assert row.price_status == "unknown"


def test_an_answer_that_came_to_nothing_is_free() -> None:
    exchange = Exchange(ACCEPTED)
    exchange.begin(ENDPOINTS[0], "cold", 100.0)

    row = exchange.finish(COMPLETED, Answer(None, Usage(500, 0), None, None, 0), 101.0)

    assert row.usage == Usage(500, 0)
    assert row.cost is not None
    assert row.cost.total == 0


def test_a_mistake_in_pricing_does_not_take_the_row_along() -> None:
    broken = replace(ENDPOINTS[0], price=Price(prompt=Decimal("NaN"), completion=Decimal(1)))
    exchange = Exchange(ACCEPTED)
    exchange.begin(broken, "cold", 100.0)
    answer = Answer(None, Usage(5, 5), "stop", "stop", 3)

    with pytest.raises(ValueError, match=r"NaN|'n'"):
        exchange.finish(COMPLETED, answer, 101.0)
    row = exchange.finish(failed(InternalError("a mistake")), answer, 101.0)

    assert (row.outcome, row.status) == (Outcome.FAILED, 500)
    assert (row.usage, row.cost) == (Usage(5, 5), None)
    assert len(row.attempts) == 1
    assert exchange.ended
