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

from regulars.billing.charge import charge, insure, is_insured, service_price
from regulars.billing.known_prices import known_price
from regulars.billing.price import cost, price_text, read_price_text, sane
from regulars.model.generation import CostSource, UsageSource
from regulars.model.money import NANO, Cost, Price, ReportedCost
from regulars.model.tokens import Usage
from regulars.providers.openai.charged import read_cost
from regulars.providers.openai.stream import StreamReader
from regulars.providers.openai.usage import read_usage
from regulars.providers.openai.whole import read_whole
from regulars.wire.answers import Label

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
    # 488 fresh x 0.15 + 512 cached x 0.075 + 100 x 0.60 USD/M
    "groq cached": Example(
        "groq",
        "https://api.groq.com/openai/v1",
        "openai/gpt-oss-120b",
        '{"queue_time":0.01,"prompt_tokens":1000,"prompt_time":0.03,"completion_tokens":100,'
        '"completion_time":0.2,"total_tokens":1100,"total_time":0.23,"prompt_tokens_details":'
        '{"cached_tokens":512},"completion_tokens_details":{"reasoning_tokens":40}}',
        Usage(1000, 100, 512, reasoning_tokens=40),
        73_200 + 38_400 + 60_000,
    ),
    # by day, 12:00 UTC: 464 missed x 0.27 + 1,536 hit x 0.07 + 50 x 1.10 USD/M
    "deepseek": Example(
        "deepseek",
        "https://api.deepseek.com",
        "deepseek-chat",
        '{"prompt_tokens":2000,"completion_tokens":50,"total_tokens":2050,'
        '"prompt_cache_hit_tokens":1536,"prompt_cache_miss_tokens":464}',
        Usage(2000, 50, 1536),
        125_280 + 107_520 + 55_000,
    ),
    # 464 x 0.55 + 1,536 x 0.14 + 900 said and thought x 2.19 USD/M; hits are told twice
    "deepseek reasoner": Example(
        "deepseek",
        "https://api.deepseek.com",
        "deepseek-reasoner",
        '{"prompt_tokens":2000,"completion_tokens":900,"total_tokens":2900,"prompt_tokens_details":'
        '{"cached_tokens":1536},"completion_tokens_details":{"reasoning_tokens":850},'
        '"prompt_cache_hit_tokens":1536,"prompt_cache_miss_tokens":464}',
        Usage(2000, 900, 1536, reasoning_tokens=850),
        255_200 + 215_040 + 1_971_000,
    ),
    # 100 fresh x 3.30 + 500 read x 0.33 + 300 written x 4.125 + 20 x 16.50 USD/M
    "bedrock": Example(
        "aws",
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        "anthropic.claude-sonnet-4-5-20250929-v1:0",
        '{"inputTokens":100,"outputTokens":20,"totalTokens":920,"cacheReadInputTokens":500,'
        '"cacheWriteInputTokens":300}',
        Usage(900, 20, 500, 300),
        330_000 + 165_000 + 1_237_500 + 330_000,
    ),
    # 1,000 x 0.80 + 200 x 3.20 USD/M
    "bedrock nova": Example(
        "aws",
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        "amazon.nova-pro-v1:0",
        '{"inputTokens":1000,"outputTokens":200,"totalTokens":1200}',
        Usage(1000, 200),
        800_000 + 640_000,
    ),
    # 10 fresh x 3 + 1,000 for 5 min x 3.75 + 900 for 1 h x 6 + 5 x 15 USD/M
    "anthropic both lives": Example(
        "anthropic",
        "https://api.anthropic.com/v1",
        "claude-sonnet-4-5",
        '{"input_tokens":10,"output_tokens":5,"cache_creation_input_tokens":1900,'
        '"cache_read_input_tokens":0,"cache_creation":{"ephemeral_5m_input_tokens":1000,'
        '"ephemeral_1h_input_tokens":900}}',
        Usage(1910, 5, 0, 1900, 900),
        30_000 + 3_750_000 + 5_400_000 + 75_000,
    ),
    # over 200k in all: 1,000 fresh x 6 + 250,000 read x 0.60 + 1,000 x 22.50 USD/M
    "anthropic over 200k": Example(
        "anthropic",
        "https://api.anthropic.com/v1",
        "claude-sonnet-4-5",
        '{"input_tokens":1000,"cache_creation_input_tokens":0,"cache_read_input_tokens":250000,'
        '"output_tokens":1000}',
        Usage(251_000, 1000, 250_000, 0),
        6_000_000 + 150_000_000 + 22_500_000,
    ),
    # 300 - 256 = 44 x 1.25 + 256 x 0.125 + 40 x 10 USD/M
    "openai responses": Example(
        "openai",
        "https://api.openai.com/v1",
        "gpt-5",
        '{"input_tokens":300,"input_tokens_details":{"cached_tokens":256},"output_tokens":40,'
        '"output_tokens_details":{"reasoning_tokens":32},"total_tokens":340}',
        Usage(300, 40, 256, reasoning_tokens=32),
        55_000 + 32_000 + 400_000,
    ),
    # 500 text x 0.30 + 320 heard x 1 + 60 x 2.50 USD/M
    "google audio": Example(
        "google",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-flash",
        '{"completion_tokens":60,"prompt_tokens":820,"total_tokens":880,"prompt_tokens_details":'
        '{"audio_tokens":320}}',
        Usage(820, 60, audio_tokens=320),
        150_000 + 320_000 + 150_000,
    ),
    # 100 read x 2.50 + 400 heard x 32 + 20 written x 10 + 150 spoken x 64 USD/M
    "openai audio": Example(
        "openai",
        "https://api.openai.com/v1",
        "gpt-audio",
        '{"prompt_tokens":500,"completion_tokens":170,"total_tokens":670,"prompt_tokens_details":'
        '{"audio_tokens":400,"cached_tokens":0,"text_tokens":100,"image_tokens":0},'
        '"completion_tokens_details":{"audio_tokens":150,"text_tokens":20,"reasoning_tokens":0}}',
        Usage(500, 170, 0, reasoning_tokens=0, audio_tokens=400, audio_output_tokens=150),
        250_000 + 12_800_000 + 200_000 + 9_600_000,
    ),
    # an image is input like any other: (258 seen + 42 read) x 0.30 + 10 x 2.50 USD/M
    "google image": Example(
        "google",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-flash",
        '{"completion_tokens":10,"prompt_tokens":300,"total_tokens":310,"prompt_tokens_details":'
        '{"image_tokens":258}}',
        Usage(300, 10),
        90_000 + 25_000,
    ),
    # 1,000 - 512 = 488 x 3 + 512 x 0.75 + (9 said + 200 thought beside it) x 15 USD/M
    "xai": Example(
        "x-ai",
        "https://api.x.ai/v1",
        "grok-4",
        '{"prompt_tokens":1000,"completion_tokens":9,"total_tokens":1209,"prompt_tokens_details":'
        '{"cached_tokens":512},"completion_tokens_details":{"reasoning_tokens":200}}',
        Usage(1000, 209, 512, reasoning_tokens=200),
        1_464_000 + 384_000 + 3_135_000,
    ),
    # 5 x 0.60 + 4 cached x 0.15 + 1 x 2.50 USD/M
    "moonshot": Example(
        "moonshotai",
        "https://api.moonshot.ai/v1",
        "kimi-k2-0905-preview",
        '{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"cached_tokens":4}',
        Usage(9, 1, 4),
        3_000 + 600 + 2_500,
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
            cache_write_1h_tokens=example.usage.cache_write_1h_tokens or None,
            input_audio_tokens=example.usage.audio_tokens or None,
            output_audio_tokens=example.usage.audio_output_tokens or None,
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
    assert price_text(price.of(1000, new_year_us)) == price_text(after.of(1000, new_year_us))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ('{"cost":0.0000015}', ReportedCost(1500)),
        (
            (
                '{"cost":0.00005,"cost_details":{"upstream_inference_cost":null,'
                '"upstream_inference_prompt_cost":0.00002,"upstream_inference_completions_cost":0.00003}}'
            ),
            ReportedCost(50_000, 30_000),
        ),
        (
            '{"cost":0.0001,"is_byok":true,"cost_details":{"upstream_inference_cost":0.002}}',
            ReportedCost(2_100_000, byok=2_000_000),
        ),
        (
            (
                '{"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":0.002,'
                '"upstream_inference_completions_cost":0.0005}}'
            ),
            ReportedCost(2_000_000, 500_000, 2_000_000),
        ),
        (
            '{"cost":0.002,"is_byok":false,"cost_details":{"upstream_inference_cost":0.002}}',
            ReportedCost(2_000_000),
        ),
        ('{"cost":0.0001,"is_byok":true}', None),  # the fee alone is not what it cost
        ('{"cost_in_usd_ticks":37756000}', ReportedCost(3_775_600)),
        ('{"estimated_cost":1.234e-05}', ReportedCost(12_340)),
        (
            (
                '{"cost":{"input_tokens_cost":0.00002,"output_tokens_cost":0.0001,"request_cost":0.005,'
                '"total_cost":0.00512}}'
            ),
            ReportedCost(5_120_000, 100_000),
        ),
        (
            '{"cost":0.1,"cost_details":{"upstream_inference_completions_cost":5}}',
            ReportedCost(100_000_000, 100_000_000),
        ),
        ('{"cost":0}', ReportedCost(0)),
        ('{"cost":null}', None),
        ('{"cost":-1}', None),
        ('{"cost":1e300}', None),
        ('{"cost":"NaN"}', None),
        ('{"cost":"1e999999999999"}', None),
        ('{"cost_in_usd_ticks":-1}', None),
        ('{"cost":"free"}', None),
        ('{"cost":[]}', None),
        ('{"prompt_tokens":1}', None),
    ],
)
def test_what_an_upstream_charged_is_read_exactly(raw: str, expected: ReportedCost | None) -> None:
    assert read_cost(raw.encode()) == expected


PRICE = Price(Decimal("0.000001"), Decimal("0.000002"), cache_read=Decimal("0.0000001"))
FLEX = Price(Decimal("0.0000005"), Decimal("0.000001"))
TIERED = Price(PRICE.prompt, PRICE.completion, services=(("flex", FLEX),))
REPORTED = UsageSource.REPORTED


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        # said in parts: the rest, fees and all, is the prompt's
        (ReportedCost(777, 77), Cost(777, 700, 77, 450_000)),
        # said as one figure: split as our list splits 550,000 + 20,000
        (ReportedCost(57_000), Cost(57_000, 55_000, 2_000, 450_000)),
        (ReportedCost(57_001, byok=57_000), Cost(57_001, 55_001, 2_000, 450_000, 57_000)),
        (ReportedCost(0), Cost(0, 0, 0, 450_000)),
    ],
)
def test_a_reported_charge_is_preferred_and_its_parts_add_up(
    reported: ReportedCost, expected: Cost
) -> None:
    found = charge(
        Usage(1000, 10, 500), PRICE, usage_source=REPORTED, at_us=AT_US, reported=reported
    )

    assert found.cost == expected
    assert found.source is CostSource.REPORTED
    assert found.price == "prompt 1 completion 2 cache_read 0.1"


def test_a_reported_charge_without_a_price_is_the_prompts() -> None:
    found = charge(Usage(5, 1), None, usage_source=REPORTED, at_us=AT_US, reported=ReportedCost(9))

    assert (found.cost, found.price) == (Cost(9, 9, 0, 0), None)


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
def test_answers_that_came_to_nothing_are_insured(
    usage: Usage, finish_reason: str | None, free: bool
) -> None:
    assert is_insured(usage, finish_reason) is free


def test_insured_answers_are_free_unless_the_upstream_charged_for_them() -> None:
    plain = charge(Usage(100, 0), PRICE, usage_source=REPORTED, at_us=AT_US)
    charged = charge(
        Usage(100, 0), PRICE, usage_source=REPORTED, at_us=AT_US, reported=ReportedCost(50)
    )

    assert insure(plain).cost == Cost(0, 0, 0, 0)
    assert insure(plain).source is CostSource.INSURED
    assert insure(charged) == charged


def test_an_unknown_price_is_none_and_never_zero() -> None:
    found = charge(Usage(100, 5), None, usage_source=REPORTED, at_us=AT_US)

    assert (found.cost, found.source, found.price) == (None, None, None)


@pytest.mark.parametrize(
    ("served", "asked", "expected"),
    [
        (None, None, TIERED),
        ("default", "flex", TIERED),  # asked for, not given
        ("flex", "auto", FLEX),
        (None, "flex", FLEX),  # cut before the answer said so
        ("on_demand", None, TIERED),
        ("priority", None, None),  # has a price of its own that nobody told us
        (None, "priority", TIERED),  # an upstream that knows no tiers passes over it
    ],
)
def test_the_service_tier_that_served_has_the_price(
    served: str | None, asked: str | None, expected: Price | None
) -> None:
    assert service_price(TIERED, served=served, asked=asked) == expected


@pytest.mark.parametrize(
    ("raw", "tier"),
    [
        (b'{"input_tokens":9,"output_tokens":4,"service_tier":"priority"}', "priority"),
        (b'{"input_tokens":9,"output_tokens":4,"service_tier":"batch"}', "batch"),
        (b'{"input_tokens":9,"output_tokens":4,"service_tier":null}', None),
        (b'{"input_tokens":9,"output_tokens":4,"service_tier":{"a":1}}', None),
        (b'{"input_tokens":9,"output_tokens":4}', None),
    ],
)
def test_the_service_tier_inside_usage_is_read_whole_and_streamed(
    raw: bytes, tier: str | None
) -> None:
    choice = b'"choices":[{"index":0,%b:{"role":"assistant","content":"a"},"finish_reason":"stop"}]'
    body = b'{"id":"c",' + choice % b'"message"' + b',"usage":%b}' % raw
    chunk = b'data: {"id":"c",' + choice % b'"delta"' + b',"usage":%b}\n\n' % raw
    reader = StreamReader(Label("gen-1", 1, "m", "P"))

    whole = read_whole("P", body)
    reader.feed(chunk)

    assert whole.service_tier == tier
    assert reader.service_tier == tier


def test_service_tiers_are_priced_as_the_list_has_them() -> None:
    at = datetime(2026, 11, 1, tzinfo=UTC)
    price = known_price("openai", "https://api.openai.com/v1", "gpt-5", at)
    assert price is not None
    usage = Usage(1000, 100, 400)
    found = {
        tier: cost(usage, service).total
        for tier in ("flex", "priority", "batch")
        if (service := service_price(price, served=tier, asked=None)) is not None
    }

    # 600 fresh, 400 cached, 100 out: by flex and batch x 0.625, 0.0625, 5; by priority x 2.5, 0.25, 20
    assert found == {
        "flex": 375_000 + 25_000 + 500_000,
        "batch": 375_000 + 25_000 + 500_000,
        "priority": 1_500_000 + 100_000 + 2_000_000,
    }
    for tier, nanousd in found.items():
        context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier}
        listed = calc_price(
            ListUsage(input_tokens=1000, output_tokens=100, cache_read_tokens=400),
            model_ref="gpt-5",
            provider_id="openai",
            genai_request_timestamp=at,
            price_context=context,
        )
        assert listed.total_price * NANO == nanousd


def test_a_price_in_words_is_read_back_as_the_same_price() -> None:
    price = Price(
        Decimal("0.0000006"),
        Decimal(0),
        cache_read=Decimal("0.00000006"),
        cache_write_1h=Decimal(0),
        request=Decimal("0.001"),
    )

    text = price_text(price)

    assert text == "prompt 0.6 completion 0 cache_read 0.06 cache_write_1h 0 request 0.001"
    assert read_price_text(text) == price
