"""Endpoints, keys and a short way to ask a router, for the tests of routing."""

from collections.abc import Sequence
from decimal import Decimal

from regulars.model.catalog import Endpoint, Provider
from regulars.model.money import Price
from regulars.model.tokens import Usage
from regulars.routing.keys import StickyKeys, sticky_key
from regulars.routing.warmhrw import Choice, Router

PRICE = Price(prompt=Decimal("1e-6"), completion=Decimal("4e-6"), cache_read=Decimal("1e-7"))


def endpoint(
    name: str,
    *,
    ttl_s: float | None = 300.0,
    capacity: float = 1.0,
    price: Price | None = PRICE,
    tokens_per_minute: float | None = None,
) -> Endpoint:
    provider = Provider(
        slug=name, name=name, dialect="openai", base_url="http://x/v1", cache_ttl_s=ttl_s
    )
    return Endpoint(
        id=name,
        model="m",
        provider=provider,
        upstream_model="m",
        price=price,
        capacity=capacity,
        tokens_per_minute=tokens_per_minute,
    )


def keys(user: str, session: str) -> StickyKeys:
    return StickyKeys(
        sticky_key("acc", "m", "session", session.encode()),
        sticky_key("acc", "m", "user", user.encode()),
    )


def choose(
    router: Router,
    candidates: Sequence[Endpoint],
    who: StickyKeys,
    now_s: float,
    *,
    tokens: int = 100,
    tried: Sequence[str] = (),
    ttl_s: float | None = None,
) -> Choice:
    choice = router.choose(
        candidates, who, prompt_tokens=tokens, now_s=now_s, tried=tried, ttl_s=ttl_s
    )
    assert choice is not None
    return choice


def ask(
    router: Router,
    candidates: Sequence[Endpoint],
    who: StickyKeys,
    now_s: float,
    *,
    tokens: int = 100,
    cached: int | None = None,
    tried: Sequence[str] = (),
    ttl_s: float | None = None,
) -> Choice:
    """Choose, and have it answered at once."""
    choice = choose(router, candidates, who, now_s, tokens=tokens, tried=tried, ttl_s=ttl_s)
    router.answered(choice, who, Usage(tokens, 10, cached_tokens=cached), now_s)
    return choice
