"""Listed and configured prices."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from regulars.billing.known_prices import config_price, known_price
from regulars.model.money import Price

NOW = datetime(2026, 1, 15, tzinfo=UTC)
OPENROUTER = "https://openrouter.ai/api/v1"


def test_a_listed_model_has_its_price_per_token() -> None:
    price = known_price("openai", "https://api.openai.com/v1", "gpt-4o-mini", NOW)

    assert price is not None
    assert price.prompt == Decimal("0.00000015")
    assert price.completion == Decimal("0.0000006")
    assert price.cache_read == Decimal("0.000000075")


def test_the_slug_names_the_provider_where_the_url_does_not() -> None:
    by_slug = known_price("openai", "https://proxy.example/v1", "gpt-4o-mini", NOW)

    assert by_slug == known_price("x", "https://api.openai.com/v1", "gpt-4o-mini", NOW)


def test_free_models_cost_nothing() -> None:
    price = known_price("openrouter", OPENROUTER, "deepseek/deepseek-chat:free", NOW)

    assert price == Price(prompt=Decimal(0), completion=Decimal(0))


@pytest.mark.parametrize(
    ("slug", "url", "model"),
    [
        ("nobody", "http://127.0.0.1:8080/v1", "tiny/random"),
        ("openai", "https://api.openai.com/v1", "no-such-model"),
        ("groq", "https://api.groq.com/openai/v1", "whisper-large-v3"),
    ],
    ids=["provider", "model", "not by token"],
)
def test_unknown_is_none_never_zero(slug: str, url: str, model: str) -> None:
    assert known_price(slug, url, model, NOW) is None


def test_a_price_depends_on_its_date() -> None:
    def at(year: int) -> Price | None:
        moment = datetime(year, 1, 1, tzinfo=UTC)
        return known_price("openai", "https://api.openai.com/v1", "o3", moment)

    assert at(2025) != at(2026)


def test_a_tiered_price_is_its_base_tier() -> None:
    price = known_price(
        "google", "https://generativelanguage.googleapis.com", "gemini-2.5-pro", NOW
    )

    assert price is not None
    assert price.prompt == Decimal("0.00000125")


def test_configured_prices_are_per_million() -> None:
    price = config_price({"prompt": "0.60", "completion": "0.80", "request": "0.001"})

    assert price == Price(
        prompt=Decimal("0.0000006"), completion=Decimal("0.0000008"), request=Decimal("0.001")
    )


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"prompt": "1"}, "'completion'"),
        ({"prompt": "1", "completion": "1", "promt": "1"}, "'promt'"),
        ({"prompt": "-1", "completion": "1"}, "prompt = '-1'"),
        ({"prompt": "NaN", "completion": "1"}, "prompt = 'NaN'"),
        ({"prompt": "1", "completion": "Infinity"}, "completion = 'Infinity'"),
        ({"prompt": "cheap", "completion": "1"}, "prompt = 'cheap'"),
        ({"prompt": "0.0000000000001", "completion": "1"}, "12 decimals"),
        ({"prompt": "1e9", "completion": "1"}, "above"),
    ],
)
def test_wrong_configured_prices_are_named(table: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        config_price(table)
