"""Costs by example."""

from decimal import Decimal

import pytest

from regulars.billing.price import UsageError, cost, estimate, sane
from regulars.model.money import Cost, Price
from regulars.model.tokens import TOKENS_MAX, Usage

PRICE = Price(
    prompt=Decimal("0.000003"),
    completion=Decimal("0.000015"),
    cache_read=Decimal("0.0000003"),
    cache_write=Decimal("0.00000375"),
    cache_write_1h=Decimal("0.000006"),
)


def test_cached_tokens_are_billed_once_and_cheaper() -> None:
    usage = Usage(prompt_tokens=1000, completion_tokens=100, cached_tokens=800)

    assert cost(usage, PRICE) == Cost(2_340_000, 840_000, 1_500_000, 2_160_000)


def test_writing_the_cache_costs_a_premium() -> None:
    usage = Usage(1000, 0, cache_write_tokens=1000, cache_write_1h_tokens=400)

    assert cost(usage, PRICE) == Cost(4_650_000, 4_650_000, 0, -1_650_000)


def test_a_part_without_a_price_costs_what_its_parent_costs() -> None:
    price = Price(prompt=Decimal("0.000001"), completion=Decimal("0.000002"))
    usage = Usage(100, 10, 50, 30, 10, 5, 20, 5)

    assert cost(usage, price) == Cost(120_000, 100_000, 20_000, 0)


def test_the_price_of_a_request_belongs_to_the_prompt() -> None:
    price = Price(prompt=Decimal(0), completion=Decimal(0), request=Decimal("0.01"))

    assert cost(Usage(5, 5), price) == Cost(10_000_000, 10_000_000, 0, 0)


@pytest.mark.parametrize(("tokens", "nanousd"), [(1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_halves_round_to_even(tokens: int, nanousd: int) -> None:
    price = Price(prompt=Decimal("0.0000000005"), completion=Decimal(0))

    assert cost(Usage(tokens, 0), price).total == nanousd


@pytest.mark.parametrize(
    "usage",
    [
        Usage(10, 0, cached_tokens=8, cache_write_tokens=3),
        Usage(10, 0, cache_write_tokens=3, cache_write_1h_tokens=4),
        Usage(10, 1, audio_output_tokens=2),
    ],
)
def test_parts_beyond_their_parent_are_refused(usage: Usage) -> None:
    with pytest.raises(UsageError, match="exceed"):
        cost(usage, PRICE)

    cost(sane(usage), PRICE)


def test_unknown_parts_stay_unknown() -> None:
    assert sane(Usage(-1, 2**50)) == Usage(0, TOKENS_MAX)


@pytest.mark.parametrize(
    ("text_bytes", "tokens"), [(0, 0), (1, 1), (3, 1), (4, 1), (8, 2), (400, 100)]
)
def test_estimates_take_four_bytes_a_token(text_bytes: int, tokens: int) -> None:
    assert estimate(text_bytes, text_bytes) == Usage(tokens, tokens)
