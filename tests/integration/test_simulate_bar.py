"""The bar of sticky routing: real traffic replayed through the gateway's own router.

Source: routing.md, "Bar". The traces lie beside the repository; without them there is nothing
to replay.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from regulars.config.sources import environment
from regulars.simulate.accounts import deal, read_shares
from regulars.simulate.few_users import few_users
from regulars.simulate.mooncake import convert
from regulars.simulate.plan import Outage, Plan, Policy
from regulars.simulate.replay import Outcome, replay
from regulars.simulate.trace import Request

TRACES = Path(__file__).parents[2] / ".." / "shared" / "traces"
MOONCAKE = TRACES / "mooncake_conversation_trace.jsonl.gz"
RATES = TRACES / "servegen_client_rates.csv.gz"
WEIGHTS = (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0)
LOST = Outage(endpoint=3, from_s=1200.0, to_s=1500.0)


@pytest.fixture(autouse=True)
def _traces() -> None:
    if MOONCAKE.exists() and RATES.exists():
        return
    message = f"the shared traces are not at {TRACES}: put them there to replay them"
    if environment().get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@cache
def mooncake() -> tuple[Request, ...]:
    return tuple(convert(MOONCAKE))


@cache
def accounts() -> tuple[Request, ...]:
    return tuple(deal(mooncake(), read_shares(RATES)))


def _no_clock() -> Iterator[float]:
    while True:
        yield 0.0


def run(requests: tuple[Request, ...], plan: Plan) -> Outcome:
    return replay(requests, plan, _no_clock().__next__)


def imbalances(outcome: Outcome) -> tuple[float, float]:
    assert outcome.cost_imbalance_1m is not None
    assert outcome.cost_imbalance_run is not None
    return outcome.cost_imbalance_1m, outcome.cost_imbalance_run


@pytest.mark.parametrize("nodes", [1, 16])
@pytest.mark.parametrize("seed", [0, 1])
def test_real_chat_keeps_its_caches_warm_and_its_load_even(nodes: int, seed: int) -> None:
    outcome = run(mooncake(), Plan(nodes=nodes, share_delay_s=1.0, seed=seed))

    minute, whole = imbalances(outcome)
    assert outcome.hit_ratio >= 0.99
    assert minute <= 1.25
    assert whole <= 1.05
    assert outcome.warm_moves <= 0.005


@pytest.mark.parametrize("nodes", [1, 16])
def test_users_too_heavy_for_one_endpoint_are_split_by_session(nodes: int) -> None:
    outcome = run(accounts(), Plan(nodes=nodes))

    minute, whole = imbalances(outcome)
    assert outcome.hit_ratio >= 0.985
    assert minute <= 1.28
    assert whole <= 1.10
    assert outcome.warm_moves <= 0.005


def test_nodes_that_hear_of_each_other_five_seconds_late_keep_caches_warm() -> None:
    outcome = run(mooncake(), Plan(nodes=16, share_delay_s=5.0))

    assert outcome.hit_ratio >= 0.99
    assert outcome.warm_moves <= 0.005


@pytest.mark.parametrize(("endpoints", "minute_max"), [(4, 1.12), (16, 1.55)])
def test_few_and_many_endpoints(endpoints: int, minute_max: float) -> None:
    outcome = run(mooncake(), Plan(endpoints=endpoints))

    minute, whole = imbalances(outcome)
    assert outcome.hit_ratio >= 0.99
    assert minute <= minute_max
    assert whole <= 1.05


@pytest.mark.parametrize("requests", [mooncake, accounts])
def test_load_follows_unequal_capacities(requests: Callable[[], tuple[Request, ...]]) -> None:
    outcome = run(requests(), Plan(weights=WEIGHTS))

    minute, whole = imbalances(outcome)
    assert outcome.hit_ratio >= 0.985
    assert minute <= 1.36
    assert whole <= 1.10


@pytest.mark.parametrize("requests", [mooncake, accounts])
@pytest.mark.parametrize("plan", [Plan(outages=(LOST,)), Plan(added_s=(1800.0,))])
def test_an_endpoint_lost_or_added_moves_nobody_else_and_gets_its_share(
    requests: Callable[[], tuple[Request, ...]], plan: Plan
) -> None:
    outcome = run(requests(), plan)

    (share,) = outcome.share_after.values()
    assert outcome.collateral_moves == 0.0
    assert outcome.return_moves == 0.0
    assert 0.6 <= share <= 1.3


def test_an_unknown_cache_life_is_learned() -> None:
    outcome = run(mooncake(), Plan(ttl_is_known=False))

    assert outcome.hit_ratio >= 0.99


def test_what_the_bar_is_worth() -> None:
    plan = Plan()

    random = run(mooncake(), replace(plan, policy=Policy.RANDOM))
    hashed = run(accounts(), replace(plan, policy=Policy.HRW))

    assert random.hit_ratio < 0.35
    assert imbalances(hashed)[0] > 3.0


@pytest.mark.parametrize("endpoints", [2, 8, 64])
def test_few_users_stay_on_one_endpoint_each(endpoints: int) -> None:
    outcome = run(tuple(few_users()), Plan(endpoints=endpoints))

    assert outcome.users_on_one_endpoint == 1.0
    assert outcome.warm_moves == 0.0
    assert outcome.hit_ratio == 1.0
