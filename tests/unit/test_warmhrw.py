"""The rules of routing.md, one by one, with a clock of our own."""

from dataclasses import replace
from decimal import Decimal

from regulars.model.catalog import Endpoint, Provider
from regulars.model.money import Price
from regulars.model.tokens import Usage
from regulars.routing.keys import StickyKeys, sticky_key
from regulars.routing.lineup import FLOOR
from regulars.routing.warmhrw import Choice, Router

PRICE = Price(prompt=Decimal("1e-6"), completion=Decimal("4e-6"), cache_read=Decimal("1e-7"))


def endpoint(name: str, ttl_s: float | None = 300.0, capacity: float = 1.0) -> Endpoint:
    provider = Provider(
        slug=name, name=name, dialect="openai", base_url="http://x/v1", cache_ttl_s=ttl_s
    )
    return Endpoint(
        id=name, model="m", provider=provider, upstream_model="m", price=PRICE, capacity=capacity
    )


FOUR = [endpoint(name) for name in ("a", "b", "c", "d")]


def keys(user: str, session: str) -> StickyKeys:
    return StickyKeys(
        sticky_key("acc", "m", "session", session.encode()),
        sticky_key("acc", "m", "user", user.encode()),
    )


def ask(
    router: Router,
    who: StickyKeys,
    now_s: float,
    *,
    tokens: int = 100,
    endpoints: list[Endpoint] | None = None,
) -> Choice:
    choice = router.choose(endpoints or FOUR, who, prompt_tokens=tokens, now_s=now_s)
    assert choice is not None
    router.answered(choice, who, Usage(tokens, 10), now_s)
    return choice


def test_a_session_stays_while_it_is_warm() -> None:
    router = Router()
    first = ask(router, keys("u", "s"), 0)

    second = ask(router, keys("u", "s"), 299)

    assert second.endpoint is first.endpoint
    assert second.reason == "warm-session"


def test_a_new_session_of_a_known_user_shares_his_prefix() -> None:
    router = Router()
    first = ask(router, keys("u", "s1"), 0)

    second = ask(router, keys("u", "s2"), 1)

    assert second.endpoint is first.endpoint
    assert second.reason == "warm-user"


def test_an_idle_user_returns_where_he_was() -> None:
    router = Router()
    first = ask(router, keys("u", "s"), 0)

    later = ask(router, keys("u", "s"), 1000)

    assert later.endpoint is first.endpoint
    assert later.reason == "idle"


def test_users_spread_from_the_first_request_on() -> None:
    router = Router()

    used = {ask(router, keys(f"user_{n}", f"s{n}"), n).endpoint.id for n in range(4)}

    assert len(used) >= 3


def test_a_burst_of_first_requests_goes_to_one_place() -> None:
    router = Router()
    who = [keys("new", f"s{n}") for n in range(50)]

    choices = [router.choose(FOUR, one, prompt_tokens=100, now_s=0.0) for one in who]

    assert len({choice.endpoint.id for choice in choices if choice}) == 1


def test_a_failed_endpoint_is_passed_over_and_the_answering_one_remembered() -> None:
    router = Router()
    who = keys("u", "s")
    home = ask(router, who, 0).endpoint

    failed = router.choose(FOUR, who, prompt_tokens=100, now_s=1)
    assert failed is not None
    router.failed(failed, 1)
    second = router.choose(FOUR, who, prompt_tokens=100, now_s=1, tried=[failed.endpoint.id])
    assert second is not None
    router.answered(second, who, Usage(100, 10), 1)
    third = ask(router, who, 2)

    assert failed.endpoint is home
    assert second.endpoint is not home
    assert second.reason == "failover"
    assert third.endpoint is second.endpoint


def test_one_failure_that_nobody_else_answered_does_not_unpin() -> None:
    router = Router()
    who = keys("u", "s")
    home = ask(router, who, 0).endpoint
    failed = router.choose(FOUR, who, prompt_tokens=100, now_s=1)
    assert failed is not None
    router.failed(failed, 1)

    again = ask(router, who, 2)

    assert again.endpoint is home


def test_no_endpoint_left_is_no_choice() -> None:
    assert (
        Router().choose(
            FOUR, keys("u", "s"), prompt_tokens=1, now_s=0, tried=[one.id for one in FOUR]
        )
        is None
    )


def test_a_placement_outside_the_candidates_is_ignored() -> None:
    router = Router()
    home = ask(router, keys("u", "s"), 0).endpoint
    rest = [one for one in FOUR if one is not home]

    moved = ask(router, keys("u", "s"), 1, endpoints=rest)

    assert moved.endpoint in rest


def test_a_heavy_user_is_split_by_session_and_each_session_holds() -> None:
    router = Router()
    for n in range(40):
        ask(router, keys("heavy", f"s{n}"), n * 0.01, tokens=int(FLOOR))

    homes = {ask(router, keys("heavy", f"s{n}"), 1, tokens=10).endpoint.id for n in range(40)}
    held = ask(router, keys("heavy", "s3"), 1.1, tokens=10)

    assert len(homes) >= 3
    assert held.reason == "warm-session"


def test_the_valve_opens_when_an_endpoint_drowns() -> None:
    router = Router()
    who = keys("u", "s")
    home = ask(router, who, 0, tokens=50).endpoint
    router.loads.add(home.id, 40 * FLOOR, 0.0)

    moved = ask(router, who, 1, tokens=50)

    assert moved.endpoint is not home
    assert moved.reason == "valve"


def test_capacity_draws_users() -> None:
    big = [endpoint("big", capacity=3.0), endpoint("small")]
    router = Router()

    homes = [
        ask(router, keys(f"u{n}", f"s{n}"), 0.0, endpoints=big).endpoint.id for n in range(200)
    ]

    assert 0.65 <= homes.count("big") / 200 <= 0.85


def test_a_clock_that_jumps_back_harms_nothing() -> None:
    router = Router()
    first = ask(router, keys("u", "s"), 1000)

    second = ask(router, keys("u", "s"), 10)

    assert second.endpoint is first.endpoint


def test_accounts_and_models_never_share_a_key() -> None:
    made = {
        sticky_key(account, model, kind, b"x")
        for account in ("a", "b")
        for model in ("m", "n")
        for kind in ("user", "session")
    }

    assert len(made) == 8


def test_a_provider_documents_its_cache_life_and_configuration_overrides_it() -> None:
    documented = endpoint("anthropic", ttl_s=None)
    configured = replace(documented, id="configured", cache_ttl_s=3600.0)
    router = Router()
    lives = {
        member.id: member.ttl_s
        for member in router.scene(
            [documented, configured, endpoint("x", ttl_s=None)], 0
        ).lineup.in_order
    }

    assert lives == {"anthropic": 300.0, "configured": 3600.0, "x": None}
