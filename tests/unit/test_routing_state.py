"""The parts of a router's state: tables, loads, learned cache lives, lineups."""

import tracemalloc
from decimal import Decimal
from math import exp, log

import pytest

from fakes.routing import ask, choose, endpoint, keys
from regulars.model.money import Price
from regulars.model.tokens import Usage
from regulars.routing.burst import BURST_MAX, BURST_S, UnderWay
from regulars.routing.keys import unit
from regulars.routing.learning import CacheLives
from regulars.routing.lineup import FLOOR, LINEUPS_MAX, Lineup, Lineups
from regulars.routing.load import TAU_S, Loads
from regulars.routing.placements import KNOWN_S, Placements
from regulars.routing.recent import Recent
from regulars.routing.warmhrw import Router


def test_a_full_table_forgets_what_was_written_longest_ago() -> None:
    table: Recent[int, int] = Recent(10)

    for key in range(100):
        table.put(key, key)

    assert len(table) <= 10
    assert [table.get(key) for key in range(95, 100)] == [95, 96, 97, 98, 99]
    assert table.get(80) is None


def test_a_key_that_is_written_again_stays() -> None:
    table: Recent[int, int] = Recent(10)

    for key in range(1, 100):
        table.put(0, key)
        table.put(key, key)

    assert table.get(0) == 99


def test_a_dropped_key_is_gone_wherever_it_was() -> None:
    table: Recent[int, int] = Recent(4)
    for key in range(4):
        table.put(key, key)

    for key in range(5):
        table.drop(key)

    assert len(table) == 0


def test_a_placement_is_forgotten_after_an_hour() -> None:
    placements = Placements()
    placements.put(1, ("a", 0.0, 10, None), 0.0)

    assert placements.get(1, KNOWN_S) is not None
    assert placements.get(1, KNOWN_S + 1) is None


def test_old_placements_leave_memory() -> None:
    placements = Placements()
    for hour in range(5):
        at_s = hour * (KNOWN_S + 1)
        placements.put(hour, ("a", at_s, 10, None), at_s)

    assert len(placements) <= 2
    assert list(placements.items(4 * (KNOWN_S + 1))) == [(4, ("a", 4 * (KNOWN_S + 1), 10, None))]


def test_a_cache_that_lives_for_a_day_keeps_its_keys_for_a_day() -> None:
    router = Router()
    lasting = (endpoint("a", ttl_s=86_400.0), endpoint("b", ttl_s=86_400.0))
    home = ask(router, lasting, keys("u", "s"), 0).endpoint
    for hour in range(1, 12):
        ask(router, lasting, keys("other", f"o{hour}"), hour * 3600)

    back = ask(router, lasting, keys("u", "s"), 43_200)

    assert back.endpoint is home
    assert back.reason == "warm-session"


def test_loads_fade() -> None:
    loads = Loads()
    loads.add("a", 100.0, 0.0)
    loads.add_user(1, 100.0, 0.0)

    assert loads.of("a", TAU_S) == pytest.approx(100 * exp(-1))
    assert loads.of_user(1, TAU_S) == pytest.approx(100 * exp(-1))


def test_a_correction_counts_as_if_known_when_sent() -> None:
    loads = Loads()
    loads.add("a", 100.0, 0.0)

    loads.correct("a", -100.0, sent_s=0.0, now_s=90.0)

    assert loads.of("a", 90.0) == pytest.approx(0.0, abs=1e-9)


def test_loads_survive_ten_years() -> None:
    loads = Loads()
    for hour in range(0, 24 * 3650, 7):
        loads.add("a", 100.0, hour * 3600.0)

    assert loads.of("a", (24 * 3650 - 1) * 3600.0) <= 100.0


def test_learned_life_lies_near_the_real_one() -> None:
    lives = CacheLives()
    for _ in range(20):
        for idle_s in range(10, 1000, 10):
            lives.saw("a", idle_s, cached=5000 if idle_s <= 300 else 0, expected=5000)

    assert lives.believed("a", 200)
    assert not lives.believed("a", 500)
    assert lives.believed("b", 3600)


def test_a_prompt_too_short_to_be_cached_teaches_nothing() -> None:
    lives = CacheLives()

    for _ in range(100):
        lives.saw("a", 1.0, cached=0, expected=500)

    assert lives.believed("a", 1.0)


def test_a_router_learns_that_a_provider_never_caches() -> None:
    router = Router()
    unknown = (endpoint("a", ttl_s=None), endpoint("b", ttl_s=None))

    answers = [
        ask(router, unknown, keys("u", "s"), n, tokens=2000, cached=0).reason for n in range(10)
    ]

    assert answers[-1] == "idle"


def test_unreported_cached_tokens_teach_nothing() -> None:
    router = Router()
    unknown = (endpoint("a", ttl_s=None), endpoint("b", ttl_s=None))

    answers = [
        ask(router, unknown, keys("u", "s"), n, tokens=2000, cached=None).reason for n in range(40)
    ]

    assert answers[-1] == "warm-session"


def test_followers_are_bounded_in_number_and_time() -> None:
    under_way = UnderWay()
    under_way.note(1, "a", 0.0)
    under_way.note(2, "a", 0.0)
    for _ in range(BURST_MAX):
        under_way.note(2, "a", 1.0)

    assert under_way.endpoint(1, BURST_S) == "a"
    assert under_way.endpoint(1, BURST_S + 1) is None
    assert under_way.endpoint(2, 1.0) is None


def test_the_order_of_a_key_is_weighted_rendezvous() -> None:
    mixed = [endpoint(f"e{n}", capacity=1.0 + n % 3) for n in range(12)]
    lineup = Lineup(mixed)

    order = [member.id for member in lineup.first(12345, 12)]

    expected = sorted(mixed, key=lambda one: log(unit(12345, one.id)) / one.capacity, reverse=True)
    assert order == [one.id for one in expected]
    assert [member.id for member in lineup.first(12345, 3)] == order[:3]


def test_weights_have_a_mean_of_one_whatever_their_unit() -> None:
    lineup = Lineup([endpoint("a", capacity=1e6), endpoint("b", capacity=3e6)])

    assert [member.weight for member in lineup.in_order] == [0.5, 1.5]


def test_price_draws_users_only_where_it_counts() -> None:
    cheap = Price(prompt=Decimal("1e-6"), completion=Decimal(0))
    dear = Price(prompt=Decimal("3e-6"), completion=Decimal(0))
    free = Price(prompt=Decimal(0), completion=Decimal(0))
    offers = [endpoint("a", price=cheap), endpoint("b", price=dear), endpoint("c", price=None)]

    counted = Lineup(offers, price_counts=True).in_order
    ignored = Lineup(offers).in_order
    gratis = Lineup([endpoint("a", price=free), offers[1]], price_counts=True).in_order

    assert counted[0].weight == pytest.approx(9 * counted[1].weight)
    assert counted[2].weight == counted[1].weight
    assert {member.weight for member in ignored} == {1.0}
    assert gratis[0].weight == pytest.approx(100 * gratis[1].weight)


def test_unknown_prices_prefer_nobody() -> None:
    lineup = Lineup([endpoint("a", price=None), endpoint("b", price=None)], price_counts=True)

    assert {member.weight for member in lineup.in_order} == {1.0}


def test_a_configured_capacity_sets_the_floor() -> None:
    lineup = Lineup([endpoint("a", tokens_per_minute=1_000_000.0), endpoint("b")])

    assert [member.floor for member in lineup.in_order] == [250_000.0, FLOOR]


def test_lineups_are_kept_and_bounded() -> None:
    lineups = Lineups(floor=FLOOR, price_counts=False)
    pair = (endpoint("a"), endpoint("b"))
    first = lineups.of(pair)

    again = lineups.of(list(pair))
    for n in range(LINEUPS_MAX):
        lineups.of((endpoint(f"x{n}"),))

    assert again is first
    assert lineups.of(pair) is not first


def test_explaining_changes_nothing() -> None:
    router = Router()
    pair = (endpoint("a"), endpoint("b"))
    home = ask(router, pair, keys("u", "s"), 0).endpoint

    told = router.explain(pair, keys("u", "s"), now_s=1)

    assert told == (home.id, "warm-session")
    assert router.explain((), keys("u", "s"), now_s=1) is None
    assert router.loads.of(home.id, 1) == pytest.approx(140 * exp(-1 / TAU_S))


def test_an_endpoint_the_request_named_is_counted_and_becomes_warm() -> None:
    router = Router()
    pair = (endpoint("a"), endpoint("b"))
    who = keys("u", "s")

    named = router.take(pair[1], who, reason="order", prompt_tokens=100, now_s=0)
    router.answered(named, who, Usage(100, 10), 0)

    assert named.reason == "order"
    assert choose(router, pair, who, 1).endpoint is pair[1]


def test_a_million_keys_fit_in_250_mb() -> None:
    placements = Placements()
    tracemalloc.start()

    for number in range(1, 100_001):
        # Nothing shared between keys: the worst there is.
        key, at_s = number * 0x9E3779B97F4A7C15 % 2**64, number / 1000
        placements.put(key, ("endpoint", at_s, 5000 + number, None), at_s)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(placements) == 100_000
    assert taken * 10 <= 250_000_000
