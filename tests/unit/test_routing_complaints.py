"""Bugs that people file against sticky routing elsewhere, by name."""

from fakes.routing import ask, choose, endpoint, keys
from regulars.routing.lineup import FLOOR
from regulars.routing.warmhrw import Router

FOUR = tuple(endpoint(name) for name in ("a", "b", "c", "d"))
WHO = keys("u", "s")


def test_pinned_endpoint_disabled() -> None:
    router = Router()
    home = ask(router, FOUR, WHO, 0).endpoint
    enabled = tuple(one for one in FOUR if one is not home)

    moved = ask(router, enabled, WHO, 1)
    stayed = ask(router, FOUR, WHO, 2)

    assert moved.endpoint in enabled
    assert stayed.endpoint is moved.endpoint


def test_quota_gone_in_mid_conversation() -> None:
    router = Router()
    home = ask(router, FOUR, WHO, 0).endpoint
    refused = choose(router, FOUR, WHO, 1)
    router.failed(refused, 1)

    served = ask(router, FOUR, WHO, 1, tried=[home.id])
    after = ask(router, FOUR, WHO, 2)

    assert refused.endpoint is home
    assert served.reason == "failover"
    assert after.endpoint is served.endpoint
    assert after.reason == "warm-session"


def test_circuit_opened_moves_its_users_and_nobody_else() -> None:
    router = Router()
    users = [keys(f"u{n}", f"s{n}") for n in range(100)]
    homes = [ask(router, FOUR, who, n / 10).endpoint for n, who in enumerate(users)]
    rest = FOUR[1:]

    during = [ask(router, rest, who, 60 + n / 10).endpoint for n, who in enumerate(users)]
    after = [ask(router, FOUR, who, 120 + n / 10).endpoint for n, who in enumerate(users)]

    assert all(was is now for was, now in zip(homes, during, strict=True) if was is not FOUR[0])
    assert after == during


def test_priority_changed_reorders_nothing_warm() -> None:
    router = Router()
    homes = [ask(router, FOUR, keys(f"u{n}", f"s{n}"), 0).endpoint for n in range(20)]

    again = [
        ask(router, tuple(reversed(FOUR)), keys(f"u{n}", f"s{n}"), 1).endpoint for n in range(20)
    ]

    assert again == homes


def test_capacity_changed_keeps_the_warm() -> None:
    router = Router()
    home = ask(router, FOUR, WHO, 0).endpoint
    grown = tuple(endpoint(one.id, capacity=1.0 if one is home else 9.0) for one in FOUR)

    again = ask(router, grown, WHO, 1)

    assert again.endpoint.id == home.id


def test_endpoint_removed_from_config_while_pinned() -> None:
    router = Router()
    home = ask(router, FOUR, WHO, 0).endpoint
    config = tuple(endpoint(one.id) for one in FOUR if one is not home)

    moved = ask(router, config, WHO, 1)

    assert moved.endpoint in config


def test_one_hour_cache_survives_a_pause_of_ten_minutes() -> None:
    router = Router()
    home = ask(router, FOUR, WHO, 0, tokens=10_000, ttl_s=3600.0).endpoint
    # Load that would send a cold or idle user elsewhere.
    router.loads.add(home.id, 1.2 * FLOOR, 600.0)

    back = ask(router, FOUR, WHO, 600, tokens=10_000)

    assert back.endpoint is home
    assert back.reason == "warm-session"


def test_five_minute_cache_is_not_believed_in_after_ten_minutes() -> None:
    router = Router()
    ask(router, FOUR, WHO, 0)

    back = ask(router, FOUR, WHO, 600)

    assert back.reason == "idle"


def test_burst_of_50_parallel_first_requests_goes_to_one_place() -> None:
    router = Router()
    burst = [keys("new", f"s{n}") for n in range(50)]

    homes = {choose(router, FOUR, who, 0.0, tokens=20_000).endpoint.id for who in burst}

    assert len(homes) == 1


def test_burst_follows_the_request_that_had_to_move() -> None:
    router = Router()
    burst = [keys("new", f"s{n}") for n in range(50)]
    first = [choose(router, FOUR, who, 0.0) for who in burst]
    for choice in first:
        router.failed(choice, 0.1)

    second = [
        choose(router, FOUR, who, 0.2, tried=[tried.endpoint.id]).endpoint.id
        for who, tried in zip(burst, first, strict=True)
    ]

    assert len(set(second)) == 1
    assert first[0].endpoint.id not in second


def test_endless_burst_is_spread_in_the_end() -> None:
    router = Router()

    homes = {
        choose(router, FOUR, keys("new", f"s{n}"), 0.0, tokens=20_000).endpoint.id
        for n in range(500)
    }

    assert len(homes) >= 3


def test_parallel_requests_of_one_heavy_users_session_stay_together() -> None:
    router = Router()
    for n in range(40):
        ask(router, FOUR, keys("heavy", f"s{n}"), n / 100, tokens=int(FLOOR))

    homes = {
        choose(router, FOUR, keys("heavy", "new"), 1.0, tokens=9_000).endpoint.id for _ in "12345"
    }

    assert len(homes) == 1


def test_clock_jumping_back_keeps_homes_and_loads() -> None:
    router = Router()
    home = ask(router, FOUR, WHO, 100_000, tokens=1000).endpoint
    load = router.loads.of(home.id, 100_000)

    back = ask(router, FOUR, WHO, 10, tokens=1000)
    later = router.loads.of(home.id, 70)

    assert back.endpoint is home
    assert later < 2 * load


def test_clock_jumping_ahead_by_a_month_forgets_and_goes_on() -> None:
    router = Router()
    home = ask(router, FOUR, WHO, 0, tokens=100_000).endpoint

    after = ask(router, FOUR, WHO, 30 * 86_400)

    assert after.reason == "cold"
    assert router.loads.of(home.id, 30 * 86_400) < 1000


def test_nothing_moves_back_to_an_endpoint_that_returned() -> None:
    router = Router()
    users = [keys(f"u{n}", f"s{n}") for n in range(60)]
    without = FOUR[1:]
    away = [ask(router, without, who, n / 10, tokens=5_000).endpoint for n, who in enumerate(users)]

    warm = [
        ask(router, FOUR, who, 30 + n / 10, tokens=5_000).endpoint for n, who in enumerate(users)
    ]
    cold = [
        ask(router, FOUR, keys(f"new{n}", f"n{n}"), 40 + n / 10, tokens=5_000).endpoint
        for n in range(60)
    ]

    assert warm == away
    assert cold.count(FOUR[0]) > 15
