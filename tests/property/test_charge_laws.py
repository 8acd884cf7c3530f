"""What a generation is charged, whatever its upstream reports and in whichever order."""

import json
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import takewhile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from property.test_price_laws import claimed_usages, prices, slow_cost
from regulars.billing.charge import charge
from regulars.billing.price import price_text, rated, read_price_text, sane, tariff
from regulars.model.generation import CostSource, UsageSource
from regulars.model.money import NANO, Price, ReportedCost
from regulars.model.tokens import Usage
from regulars.providers.openai.charged import read_cost, read_service_tier
from regulars.providers.openai.stream import StreamReader
from regulars.wire.answers import Label

COST_KEYS = [
    "cost",
    "is_byok",
    "cost_details",
    "upstream_inference_cost",
    "upstream_inference_completions_cost",
    "total_cost",
    "output_tokens_cost",
    "estimated_cost",
    "cost_in_usd_ticks",
]
LABEL = Label("gen-1-a", 1, "m", "P")
tokens = st.integers(0, 10**7)
usd = st.decimals(0, 1000, places=12)


@st.composite
def reports(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a usage object as the common dialect writes it."""
    prompt, completion = draw(tokens), draw(tokens)
    report: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": draw(st.integers(0, prompt))},
    }
    if draw(st.booleans()):
        report["cost"] = float(draw(usd))
    return report


def slow_nano(value: float) -> int:
    """Read a number of USD from JSON as the exact decimal that stands there."""
    exact = Decimal(json.dumps(value))
    return int((exact * NANO).to_integral_value(ROUND_HALF_EVEN))


def stream_of(said: list[dict[str, Any]]) -> bytes:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x"}
    ends = [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]
    events: list[dict[str, Any]] = [{**chunk, "choices": ends}]
    events += [{**chunk, "choices": [], "usage": report} for report in said]
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


@settings(deadline=None)
@given(said=st.lists(reports(), min_size=1, max_size=5), price=prices)
def test_any_sequence_of_reports_costs_what_the_last_one_says(
    said: list[dict[str, Any]], price: Price
) -> None:
    reader = StreamReader(LABEL)

    reader.feed(stream_of(said))
    usage = reader.usage
    assert usage is not None
    found = charge(
        sane(usage), price, usage_source=UsageSource.REPORTED, at_us=0, reported=reader.cost
    )

    last = said[-1]
    plain = Usage(
        last["prompt_tokens"],
        last["completion_tokens"],
        last["prompt_tokens_details"]["cached_tokens"],
    )
    of_last = takewhile(lambda one: one["total_tokens"] == last["total_tokens"], reversed(said))
    costs = [report["cost"] for report in of_last if "cost" in report]
    listed = slow_cost(plain, price)
    assert found.cost is not None
    assert found.cost.total == (slow_nano(costs[0]) if costs else listed.total)
    assert found.cost.cache_saving == listed.cache_saving
    assert found.source is (CostSource.REPORTED if costs else CostSource.COMPUTED)


@given(
    claimed=claimed_usages,
    price=st.none() | prices,
    total=st.integers(0, 10**15),
    completion=st.none() | st.integers(0, 10**15),
)
def test_parts_of_a_reported_cost_add_up_and_never_exceed_it(
    claimed: Usage, price: Price | None, total: int, completion: int | None
) -> None:
    found = charge(
        sane(claimed),
        price,
        usage_source=UsageSource.REPORTED,
        at_us=0,
        reported=ReportedCost(total, completion),
    ).cost

    assert found is not None
    assert found.total == total == found.prompt + found.completion
    assert 0 <= found.prompt <= total
    assert 0 <= found.completion <= total


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["NaN", "-Infinity", "1e999999999", "0.1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(COST_KEYS), inner),
    max_leaves=8,
)  # fmt: skip


@given(said=st.dictionaries(st.sampled_from(COST_KEYS), anything), tier=anything)
def test_whatever_an_upstream_says_it_charged_is_a_cost_or_nothing(
    said: dict[str, Any], tier: object
) -> None:
    found = read_cost(json.dumps(said, allow_nan=False).encode())
    name = read_service_tier(Raw(json.dumps(tier).encode()))

    assert found is None or 0 <= (found.completion or 0) <= found.total
    assert found is None or 0 <= (found.byok or 0) <= found.total
    assert name is None or (name == tier and name.isprintable())


@given(claimed=claimed_usages, price=prices)
def test_the_price_in_words_explains_the_cost_by_itself(claimed: Usage, price: Price) -> None:
    usage = sane(claimed)

    text = price_text(price)

    assert rated(usage, tariff(read_price_text(text))) == rated(usage, tariff(price))
    assert price_text(read_price_text(text)) == text
