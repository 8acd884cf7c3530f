"""The bar of sticky routing: real traffic replayed through the gateway's own router.

Source: routing.md, "Bar". Every figure is one that must not exceed its bar, so hits are told
as misses. The traces lie beside the repository; without them there is nothing to replay.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from regulars.simulate.accounts import deal, read_shares
from regulars.simulate.few_users import few_users
from regulars.simulate.mooncake import convert
from regulars.simulate.plan import Outage, Plan
from regulars.simulate.replay import Outcome, replay
from regulars.simulate.trace import Request

TRACES = Path(__file__).resolve().parents[1] / ".." / "shared" / "traces"
MOONCAKE = TRACES / "mooncake_conversation_trace.jsonl.gz"
RATES = TRACES / "servegen_client_rates.csv.gz"
WEIGHTS = (1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 4.0, 4.0)
LOST = Outage(endpoint=3, from_s=1200.0, to_s=1500.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and its bar."""

    what: str
    unit: str
    value: float
    bar: float


@dataclass(frozen=True, slots=True)
class Case:
    """One replay. Bars: missed and moved in percent, imbalances as the most over the mean."""

    what: str
    requests: Callable[[], Sequence[Request]]
    plan: Plan
    missed_max: float
    minute_max: float | None = None
    run_max: float | None = None
    moved_max: float | None = None


@cache
def mooncake() -> tuple[Request, ...]:
    """Return real chat requests."""
    return tuple(convert(MOONCAKE))


@cache
def accounts() -> tuple[Request, ...]:
    """Return the same, dealt to 27 users by real clients' shares."""
    return tuple(deal(mooncake(), read_shares(RATES)))


FIRST = Case("mooncake, 8 endpoints", mooncake, Plan(), 1.0, 1.25, 1.05, 0.5)
CASES = (
    FIRST,
    Case("mooncake, 16 nodes", mooncake, Plan(nodes=16, share_delay_s=1.0), 1.0, 1.25, 1.05, 0.5),
    Case("accounts, 8 endpoints", accounts, Plan(), 1.5, 1.28, 1.10, 0.5),
    Case("mooncake, 4 endpoints", mooncake, Plan(endpoints=4), 1.0, 1.12, 1.05),
    Case("mooncake, 16 endpoints", mooncake, Plan(endpoints=16), 1.0, 1.55, 1.05),
    Case("mooncake, unequal weights", mooncake, Plan(weights=WEIGHTS), 1.0, 1.36, 1.10),
)
CHANGES = (
    ("endpoint lost for 5 min", Plan(outages=(LOST,))),
    ("endpoint added", Plan(added_s=(1800.0,))),
)


def replays(*, quick: bool) -> Iterator[Figure]:
    """Replay all cases, or the first alone; nothing where there are no traces."""
    if not (MOONCAKE.exists() and RATES.exists()):
        return
    for case in (FIRST,) if quick else CASES:
        yield from _figures(case)
    if quick:
        return
    for what, plan in CHANGES:
        yield from _changed(what, plan)
    outcome = _run(tuple(few_users()), Plan())
    yield Figure("few users, moved", "%", 100 * outcome.warm_moves, 0.0)
    apart = 100 * (1 - (outcome.users_on_one_endpoint or 0.0))
    yield Figure("few users, on more than one endpoint", "%", apart, 0.0)


def _figures(case: Case) -> Iterator[Figure]:
    outcome = _run(case.requests(), case.plan)
    missed = 100 * (1 - (outcome.hit_ratio or 0.0))
    yield Figure(f"{case.what}: missed", "%", missed, case.missed_max)
    for name, value, bar in (
        ("1-min cost", outcome.cost_imbalance_1m, case.minute_max),
        ("whole run's cost", outcome.cost_imbalance_run, case.run_max),
    ):
        if bar is not None and value is not None:
            yield Figure(f"{case.what}: {name}", "x mean", value, bar)
    if case.moved_max is not None:
        yield Figure(f"{case.what}: moved", "%", 100 * outcome.warm_moves, case.moved_max)


def _changed(what: str, plan: Plan) -> Iterator[Figure]:
    outcome = _run(mooncake(), plan)
    (share,) = outcome.share_after.values()
    yield Figure(f"{what}: others moved", "%", 100 * outcome.collateral_moves, 0.0)
    yield Figure(f"{what}: moved back", "%", 100 * outcome.return_moves, 0.0)
    # The bar is 0.6 to 1.3 of fair; told as the distance from its middle.
    yield Figure(f"{what}: share after, off 0.95", "of fair", abs(share - 0.95), 0.35)


def _run(requests: Sequence[Request], plan: Plan) -> Outcome:
    return replay(requests, plan, _no_clock().__next__)


def _no_clock() -> Iterator[float]:
    while True:
        yield 0.0
