"""Routers that tell each other decide as one."""

import pytest

from fakes.routing import ask, choose, endpoint, keys
from regulars.routing.sharing import PLACEMENTS_MAX, Collected, Sharing
from regulars.routing.warmhrw import Router

EIGHT = tuple(endpoint(f"e{n}") for n in range(8))


def pair() -> tuple[Router, Router]:
    return Router(sharing=Sharing.CHANNEL), Router(sharing=Sharing.CHANNEL)


def tell(teller: Router, hearer: Router, now_s: float, *, late_s: float = 0.0) -> None:
    told = teller.outbox(now_s)
    hearer.merge(told.placements, told.loads, now_s + late_s, late_s=late_s)


def test_a_session_continues_on_another_node_where_it_is_warm() -> None:
    one, other = pair()
    home = ask(one, EIGHT, keys("u", "s"), 0).endpoint

    tell(one, other, 1, late_s=5)
    again = ask(other, EIGHT, keys("u", "s"), 10)

    assert again.endpoint is home
    assert again.reason == "warm-session"


def test_told_ages_count_towards_the_caches_life() -> None:
    one, other = pair()
    ask(one, EIGHT, keys("u", "s"), 0)

    tell(one, other, 200, late_s=5)
    again = ask(other, EIGHT, keys("u", "s"), 301)

    assert again.reason == "idle"


def test_clocks_of_nodes_need_not_agree() -> None:
    one, other = pair()
    home = ask(one, EIGHT, keys("u", "s"), 1_000_000).endpoint
    told = one.outbox(1_000_001)

    other.merge(told.placements, told.loads, 5.0)
    again = ask(other, EIGHT, keys("u", "s"), 10)

    assert again.endpoint is home
    assert again.reason == "warm-session"


def test_the_newer_placement_wins_whatever_comes_last() -> None:
    one, other = pair()
    who = keys("u", "s")
    ask(one, EIGHT[:1], who, 0)
    old = one.outbox(1)
    ask(other, EIGHT[1:2], who, 0.5)

    other.merge(old.placements, old.loads, 1)

    assert choose(other, EIGHT, who, 2).endpoint is EIGHT[1]


def test_load_that_others_sent_counts() -> None:
    one, other = pair()
    ask(one, EIGHT[:1], keys("u", "s"), 0, tokens=500_000)

    tell(one, other, 0, late_s=1)

    assert other.loads.of("e0", 1) == pytest.approx(one.loads.of("e0", 1))


def test_a_user_who_is_heavy_on_all_nodes_together_is_heavy_on_each() -> None:
    one, other = pair()
    for n in range(30):
        ask(one, EIGHT, keys("heavy", f"s{n}"), 0, tokens=60_000)

    tell(one, other, 0)
    new = choose(other, EIGHT, keys("heavy", "new"), 1)

    assert new.reason == "heavy"


def test_what_was_told_is_not_told_again() -> None:
    one, _ = pair()
    ask(one, EIGHT, keys("u", "s"), 0)

    first, second = one.outbox(1), one.outbox(2)

    assert len(first.placements) == 2
    assert first.loads.endpoints
    assert second.placements == ()
    assert not second.loads.endpoints


def test_a_router_that_is_alone_collects_nothing() -> None:
    router = Router()
    ask(router, EIGHT, keys("u", "s"), 0)

    told = router.outbox(1)

    assert told.placements == ()


def test_a_joining_router_starts_warm() -> None:
    one, joining = pair()
    homes = [ask(one, EIGHT, keys(f"u{n}", f"s{n}"), 0).endpoint for n in range(50)]
    told = one.everything(1)

    joining.merge(told.placements, told.loads, 1)
    again = [ask(joining, EIGHT, keys(f"u{n}", f"s{n}"), 2).endpoint for n in range(50)]

    assert again == homes
    assert joining.loads.of("e0", 1) > 0


def test_what_waits_to_be_told_is_bounded() -> None:
    collected = Collected()

    for key in range(PLACEMENTS_MAX + 10):
        collected.placed(key)

    assert len(collected.keys) == PLACEMENTS_MAX


def test_without_a_channel_all_nodes_decide_alike() -> None:
    nodes = [Router(sharing=Sharing.CUT) for _ in range(5)]
    ask(nodes[0], EIGHT[:1], keys("u", "s"), 0)

    choices = [choose(node, EIGHT, keys("u", f"s{n}"), 1) for n, node in enumerate(nodes)]

    assert len({choice.endpoint.id for choice in choices}) == 1
    assert choices[0].reason == "unshared"
