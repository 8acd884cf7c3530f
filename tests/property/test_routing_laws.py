"""What holds of the router whatever happens."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from fakes.routing import choose, endpoint, keys
from regulars.model.tokens import Usage
from regulars.routing.sharing import Sharing
from regulars.routing.warmhrw import Router

ENDPOINTS = tuple(
    endpoint(f"e{n}", ttl_s=None if n == 3 else 300.0, capacity=1.0 + n) for n in range(4)
)


@dataclass(frozen=True)
class Step:
    user: int
    session: int
    up: frozenset[int]
    after_s: float
    tokens: int
    cached: int | None
    fails: int


STEPS = st.lists(
    st.builds(
        Step,
        user=st.integers(0, 3),
        session=st.integers(0, 5),
        up=st.frozensets(st.integers(0, 3), min_size=1),
        after_s=st.one_of(st.floats(-1e5, 1e5), st.floats(0, 10)),
        tokens=st.integers(0, 2_000_000),
        cached=st.none() | st.integers(0, 2_000_000),
        fails=st.integers(0, 3),
    ),
    max_size=40,
)


@given(steps=STEPS, sharing=st.sampled_from(Sharing))
def test_a_chosen_endpoint_is_always_a_candidate_and_never_one_that_failed(
    steps: list[Step], sharing: Sharing
) -> None:
    router = Router(sharing=sharing)
    now_s = 0.0
    for step in steps:
        now_s += step.after_s
        candidates = tuple(ENDPOINTS[n] for n in sorted(step.up))
        who = keys(f"u{step.user}", f"s{step.session}")
        tried: list[str] = []
        for _ in range(min(step.fails, len(candidates) - 1)):
            failed = choose(router, candidates, who, now_s, tokens=step.tokens, tried=tried)
            assert failed.endpoint in candidates
            assert failed.endpoint.id not in tried
            router.failed(failed, now_s)
            tried.append(failed.endpoint.id)
        choice = choose(router, candidates, who, now_s, tokens=step.tokens, tried=tried)
        router.answered(choice, who, Usage(step.tokens, 5, cached_tokens=step.cached), now_s)
        placed = router.placements.get(who.session, now_s)

        assert choice.endpoint in candidates
        assert choice.endpoint.id not in tried
        assert placed is not None
        assert placed[0] == choice.endpoint.id


@given(steps=STEPS)
def test_loads_are_never_negative_nor_lost_in_overflow(steps: list[Step]) -> None:
    router = Router()
    now_s = 0.0
    for step in steps:
        now_s += step.after_s
        choice = choose(
            router, ENDPOINTS, keys(f"u{step.user}", f"s{step.session}"), now_s, tokens=step.tokens
        )
        router.failed(choice, now_s + step.fails)

    loads = [router.loads.of(one.id, now_s + 3) for one in ENDPOINTS]

    assert all(0.0 <= load < 1e12 for load in loads)


@given(up=st.frozensets(st.integers(0, 3), min_size=1), pause_s=st.floats(0, 5000))
def test_warmth_never_overrides_a_filter(up: frozenset[int], pause_s: float) -> None:
    router = Router()
    who = keys("u", "s")
    candidates = tuple(ENDPOINTS[n] for n in sorted(up))
    first = choose(router, ENDPOINTS, who, 0.0)
    router.answered(first, who, Usage(100, 5), 0.0)

    choice = choose(router, candidates, who, pause_s)

    assert choice.endpoint in candidates


@given(
    user=st.integers(0, 1000),
    lost=st.integers(0, 3),
)
def test_losing_an_endpoint_moves_only_its_own_keys_in_the_unshared_rule(
    user: int, lost: int
) -> None:
    router = Router(sharing=Sharing.CUT)
    who = keys(f"u{user}", "s")
    rest = tuple(one for n, one in enumerate(ENDPOINTS) if n != lost)

    before = choose(router, ENDPOINTS, who, 0.0).endpoint
    after = choose(router, rest, who, 0.0).endpoint

    assert after is before or before is ENDPOINTS[lost]
