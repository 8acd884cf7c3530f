"""The fast integer price against the slow Decimal one, and laws of both."""

from decimal import ROUND_HALF_EVEN, Decimal

from hypothesis import given
from hypothesis import strategies as st

from regulars.billing.price import cost, sane
from regulars.model.money import NANO, Cost, Price
from regulars.model.tokens import TOKENS_MAX, Usage

usd = st.decimals(min_value=0, max_value="0.01", places=12) | st.decimals(0, 1, places=18)
prices = st.builds(
    Price,
    prompt=usd,
    completion=usd,
    cache_read=st.none() | usd,
    cache_write=st.none() | usd,
    cache_write_1h=st.none() | usd,
    audio=st.none() | usd,
    audio_output=st.none() | usd,
    request=usd,
)
claims = st.integers(-5, 50) | st.integers(-(2**70), 2**70)
claimed_usages = st.builds(
    Usage,
    prompt_tokens=claims,
    completion_tokens=claims,
    cached_tokens=st.none() | claims,
    cache_write_tokens=st.none() | claims,
    cache_write_1h_tokens=st.none() | claims,
    reasoning_tokens=st.none() | claims,
    audio_tokens=st.none() | claims,
    audio_output_tokens=st.none() | claims,
)


def rounded(value: Decimal) -> int:
    return int((value * NANO).to_integral_value(ROUND_HALF_EVEN))


def first(*candidates: Decimal | None) -> Decimal:
    return next(value for value in candidates if value is not None)


def slow_cost(usage: Usage, price: Price) -> Cost:
    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    hour = usage.cache_write_1h_tokens or 0
    fresh = usage.prompt_tokens - cached - written
    audio = min(usage.audio_tokens or 0, fresh)
    spoken = usage.audio_output_tokens or 0
    read = first(price.cache_read, price.prompt)
    write = first(price.cache_write, price.prompt)
    write_hour = first(price.cache_write_1h, price.cache_write, price.prompt)
    writes = (written - hour) * write + hour * write_hour
    prompt = (
        (fresh - audio) * price.prompt
        + audio * first(price.audio, price.prompt)
        + cached * read
        + writes
        + price.request
    )
    completion = (usage.completion_tokens - spoken) * price.completion
    completion += spoken * first(price.audio_output, price.completion)
    total, completion_nano = rounded(prompt + completion), rounded(completion)
    saving = cached * (price.prompt - read) - (writes - written * price.prompt)
    return Cost(total, total - completion_nano, completion_nano, rounded(saving))


@given(claimed=claimed_usages, price=prices)
def test_cost_is_the_exact_decimal_sum_rounded_once(claimed: Usage, price: Price) -> None:
    usage = sane(claimed)

    assert cost(usage, price) == slow_cost(usage, price)


@given(claimed=claimed_usages, price=prices)
def test_parts_add_up_and_are_never_negative(claimed: Usage, price: Price) -> None:
    found = cost(sane(claimed), price)

    assert found.prompt + found.completion == found.total
    assert found.prompt >= 0
    assert found.completion >= 0


@given(claimed=claimed_usages)
def test_sane_usage_is_consistent_and_stays_as_it_is(claimed: Usage) -> None:
    usage = sane(claimed)

    cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
    assert 0 <= cached + written <= usage.prompt_tokens <= TOKENS_MAX
    assert 0 <= (usage.cache_write_1h_tokens or 0) <= written
    assert 0 <= (usage.audio_tokens or 0) <= usage.prompt_tokens
    assert 0 <= (usage.reasoning_tokens or 0) <= usage.completion_tokens <= TOKENS_MAX
    assert 0 <= (usage.audio_output_tokens or 0) <= usage.completion_tokens
    assert sane(usage) is usage
