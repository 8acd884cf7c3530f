"""Usage objects as real providers send them: what we read, and what it costs by hand and by list.

The costs were worked out by hand from the prices in the comments; genai-prices works them out a
second time from the same counts.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as ListUsage
from genai_prices import calc_price

from regulars.billing.charge import charge, is_insured
from regulars.billing.known_prices import known_price
from regulars.billing.price import cost, sane
from regulars.model.money import NANO, Cost, Price
from regulars.model.tokens import Usage
from regulars.providers.openai.usage import read_cost, read_usage

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT_US = 1_772_366_400_000_000


@dataclass(frozen=True, slots=True)
class Example:
    """One provider's answer, what it says, and its cost in nano-USD by hand."""

    provider: str
    url: str
    model: str
    raw: str
    usage: Usage
    nanousd: int


EXAMPLES = {
    # 1,117 fresh x 0.15 + 1,920 cached x 0.075 + 310 x 0.60 USD/M
    "openai": Example(
        "openai",
        "https://api.openai.com/v1",
        "gpt-4o-mini",
        '{"prompt_tokens":3037,"completion_tokens":310,"total_tokens":3347,"prompt_tokens_details":'
        '{"cached_tokens":1920,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,'
        '"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}',
        Usage(3037, 310, 1920, reasoning_tokens=0, audio_tokens=0, audio_output_tokens=0),
        167_550 + 144_000 + 186_000,
    ),
    # 12 fresh x 3 + 5,000 read x 0.30 + 2,000 written for 5 min x 3.75 + 400 x 15 USD/M
    "anthropic": Example(
        "anthropic",
        "https://api.anthropic.com/v1",
        "claude-sonnet-4-5",
        '{"input_tokens":12,"cache_creation_input_tokens":2000,"cache_read_input_tokens":5000,'
        '"cache_creation":{"ephemeral_5m_input_tokens":2000,"ephemeral_1h_input_tokens":0},'
        '"output_tokens":400,"service_tier":"standard"}',
        Usage(7012, 400, 5000, 2000, 0),
        36_000 + 1_500_000 + 7_500_000 + 6_000_000,
    ),
    # the same counts told in the common dialect: the prompt includes what the cache did
    "anthropic compatible": Example(
        "anthropic",
        "https://api.anthropic.com/v1",
        "claude-sonnet-4-5",
        '{"prompt_tokens":7012,"completion_tokens":400,"total_tokens":7412,"prompt_tokens_details":'
        '{"cached_tokens":5000,"cache_creation_tokens":2000}}',
        Usage(7012, 400, 5000, 2000),
        15_036_000,
    ),
    # 1,000 x 0.30 + (200 said + 700 thought beside it) x 2.50 USD/M
    "google": Example(
        "google",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-flash",
        '{"completion_tokens":200,"prompt_tokens":1000,"total_tokens":1900}',
        Usage(1000, 900, reasoning_tokens=700),
        300_000 + 2_250_000,
    ),
    # over 200k: 250,000 x 2.50 + 1,000 x 15 USD/M, all of it at the higher price
    "google over 200k": Example(
        "google",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-pro",
        '{"completion_tokens":1000,"prompt_tokens":250000,"total_tokens":251000}',
        Usage(250_000, 1000),
        625_000_000 + 15_000_000,
    ),
    # exactly 200k is not over it: 200,000 x 1.25 + 1,000 x 10 USD/M
    "google at 200k": Example(
        "google",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-pro",
        '{"completion_tokens":1000,"prompt_tokens":200000,"total_tokens":201000}',
        Usage(200_000, 1000),
        250_000_000 + 10_000_000,
    ),
    # 1,000 x 0.59 + 100 x 0.79 USD/M
    "groq": Example(
        "groq",
        "https://api.groq.com/openai/v1",
        "llama-3.3-70b-versatile",
        '{"queue_time":0.037,"prompt_tokens":1000,"prompt_time":0.0006,"completion_tokens":100,'
        '"completion_time":0.46,"total_tokens":1100,"total_time":0.46}',
        Usage(1000, 100),
        590_000 + 79_000,
    ),
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_real_usage_costs_what_it_costs_by_hand_and_by_list(example: Example) -> None:
    usage = read_usage(example.raw.encode())
    price = known_price(example.provider, example.url, example.model, AT)
    assert price is not None
    listed = calc_price(
        ListUsage(
            input_tokens=example.usage.prompt_tokens,
            output_tokens=example.usage.completion_tokens,
            cache_read_tokens=example.usage.cached_tokens or None,
            cache_write_tokens=example.usage.cache_write_tokens or None,
        ),
        model_ref=example.model,
        provider_id=example.provider,
        genai_request_timestamp=AT,
    )

    assert usage == example.usage
    assert sane(example.usage) == example.usage
    assert cost(example.usage, price, AT_US).total == example.nanousd
    assert listed.total_price * NANO == example.nanousd


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        (
            (
                '{"prompt_tokens":2000,"completion_tokens":50,"total_tokens":2050,'
                '"prompt_tokens_details":{"cached_tokens":1536},"completion_tokens_details":'
                '{"reasoning_tokens":30},"prompt_cache_hit_tokens":1536,"prompt_cache_miss_tokens":464}'
            ),
            Usage(2000, 50, 1536, reasoning_tokens=30),
        ),
        (
            (
                '{"inputTokens":100,"outputTokens":20,"totalTokens":620,"cacheReadInputTokens":500,'
                '"cacheWriteInputTokens":0}'
            ),
            Usage(600, 20, 500, 0),
        ),
        (
            (
                '{"input_tokens":300,"input_tokens_details":{"cached_tokens":256},"output_tokens":40,'
                '"output_tokens_details":{"reasoning_tokens":32},"total_tokens":340}'
            ),
            Usage(300, 40, 256, reasoning_tokens=32),
        ),
        (
            (
                '{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":900,'
                '"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":0,'
                '"ephemeral_1h_input_tokens":900}}'
            ),
            Usage(910, 5, 0, 900, 900),
        ),
        (
            (
                '{"prompt_tokens":32,"completion_tokens":9,"total_tokens":241,'
                '"completion_tokens_details":{"reasoning_tokens":200}}'
            ),
            Usage(32, 209, reasoning_tokens=200),
        ),
        (
            (
                '{"prompt_tokens":32,"completion_tokens":209,"total_tokens":241,'
                '"completion_tokens_details":{"reasoning_tokens":200}}'
            ),
            Usage(32, 209, reasoning_tokens=200),
        ),
        ('{"prompt_tokens":9,"completion_tokens":1,"cached_tokens":4}', Usage(9, 1, 4)),
        ('{"total_tokens":5}', None),
    ],
    ids=["deepseek", "bedrock", "responses", "one hour", "xai", "openai o", "moonshot", "nothing"],
)
def test_shapes_are_read_with_parents_that_contain_their_parts(
    raw: str, usage: Usage | None
) -> None:
    assert read_usage(raw.encode()) == usage


def test_prices_by_the_hour_follow_the_clock() -> None:
    price = known_price("deepseek", "https://api.deepseek.com", "deepseek-chat", AT)
    assert price is not None

    by_hour = {price.of(1000, AT_US + hour * 3_600_000_000).prompt for hour in range(24)}
    listed = {
        calc_price(
            ListUsage(input_tokens=1_000_000),
            model_ref="deepseek-chat",
            provider_id="deepseek",
            genai_request_timestamp=datetime(2026, 3, 2, hour, tzinfo=UTC),
        ).total_price
        / 1_000_000
        for hour in range(24)
    }

    assert by_hour == listed


def test_a_price_that_is_to_change_changes() -> None:
    before = datetime(2026, 12, 20, tzinfo=UTC)
    price = known_price(
        "google", "https://generativelanguage.googleapis.com", "gemini-3.6-flash", before
    )
    assert price is not None

    new_year_us = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
    after = known_price(
        "google",
        "https://generativelanguage.googleapis.com",
        "gemini-3.6-flash",
        datetime(2027, 1, 1, tzinfo=UTC),
    )
    assert after is not None

    assert price.of(1000, new_year_us - 1) != price.of(1000, new_year_us)
    assert price.of(1000, new_year_us) == after.of(1000, new_year_us)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"cost":0.0000015}', Cost(1500, 1500, 0, 0)),
        (
            (
                '{"cost":0.00005,"cost_details":{"upstream_inference_cost":null,'
                '"upstream_inference_prompt_cost":0.00002,"upstream_inference_completions_cost":0.00003}}'
            ),
            Cost(50_000, 20_000, 30_000, 0),
        ),
        (
            '{"cost":0.0001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.002}}',
            Cost(2_100_000, 2_100_000, 0, 0),
        ),
        ('{"cost":0}', Cost(0, 0, 0, 0)),
        ('{"cost":null}', None),
        ('{"cost":-1}', None),
        ('{"cost":1e300}', None),
        ('{"cost":"free"}', None),
        ('{"prompt_tokens":1}', None),
    ],
)
def test_what_an_upstream_charged_is_read_exactly(raw: str, expected: Cost | None) -> None:
    assert read_cost(raw.encode()) == expected


PRICE = Price(Decimal("0.000001"), Decimal("0.000002"), cache_read=Decimal("0.0000001"))


def test_a_reported_charge_is_preferred_and_keeps_our_saving() -> None:
    usage = Usage(1000, 10, 500)

    found = charge(usage, PRICE, finish_reason="stop", at_us=AT_US, reported=Cost(777, 700, 77, 0))

    assert found == Cost(777, 700, 77, cost(usage, PRICE).cache_saving)


@pytest.mark.parametrize(
    ("usage", "finish_reason", "free"),
    [
        (Usage(100, 0), None, True),
        (Usage(100, 0), "", True),
        (Usage(100, 0), "stop", False),
        (Usage(100, 5), None, False),
        (Usage(100, 5), "error", True),
        (Usage(100, 5), "stop", False),
    ],
)
def test_answers_that_came_to_nothing_are_free(
    usage: Usage, finish_reason: str | None, free: bool
) -> None:
    found = charge(usage, PRICE, finish_reason=finish_reason, at_us=AT_US)

    assert found is not None
    assert is_insured(usage, finish_reason) is free
    assert (found.total == 0) is free


def test_an_unknown_price_is_none_and_never_zero() -> None:
    assert charge(Usage(100, 5), None, finish_reason="stop", at_us=AT_US) is None
    assert charge(
        Usage(5, 1), None, finish_reason="stop", at_us=AT_US, reported=Cost(9, 4, 5, 0)
    ) == Cost(9, 4, 5, 0)
