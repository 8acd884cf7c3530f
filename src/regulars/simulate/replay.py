"""Replays a trace: choose, read the endpoint's cache, tell the chooser, measure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from regulars.model.catalog import Endpoint
from regulars.model.tokens import Usage
from regulars.routing.keys import StickyKeys, sticky_key
from regulars.routing.lineup import CACHED_COST, OUTPUT_COST
from regulars.simulate.caches import PrefixCache
from regulars.simulate.measures import Balance, Homes, Moves
from regulars.simulate.plan import MODEL, Plan, PlanError
from regulars.simulate.policies import chooser
from regulars.simulate.trace import Request

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a replay came to. Ratios and shares are 0 to 1, imbalances are max over mean."""

    requests: int
    hit_ratio: float
    cost_imbalance_1m: float | None
    cost_imbalance_run: float | None
    warm_moves: float
    collateral_moves: float
    return_moves: float
    users_on_one_endpoint: float | None
    endpoint_share: dict[str, float]
    share_after: dict[str, float]
    decisions_per_s: float | None


def replay(requests: Iterable[Request], plan: Plan, clock: Clock) -> Outcome:
    """Replay a trace in order; `clock` (seconds) measures only what decisions take.

    Raises:
        PlanError: at some time no endpoint is up.
        TraceError: from reading the requests.
    """
    run = _Run(plan, clock)
    for request in requests:
        run.take(request)
    return run.outcome()


class _Run:
    def __init__(self, plan: Plan, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock
        self._endpoints = plan.all_endpoints()
        self._chooser = chooser(plan)
        self._caches = {e.id: PrefixCache(plan.ttl_s, plan.lru_blocks) for e in self._endpoints}
        self._one_cache = PrefixCache(plan.ttl_s)
        self._weights = {endpoint.id: endpoint.capacity for endpoint in self._endpoints}
        self._balance = Balance(self._weights)
        self._moves = Moves(plan.ttl_s)
        self._homes = Homes()
        self._after: dict[str, Balance] = {}
        self._concerned: set[str] = set()
        self._events = plan.events()
        self._up: tuple[Endpoint, ...] = ()
        self._up_ids: tuple[str, ...] = ()
        self._change_to(float("-inf"))
        self._requests = self._hit = self._possible = 0
        self._decided_s = 0.0

    def take(self, request: Request) -> None:
        now_s = request.t
        self._change_to(now_s)
        if not self._up:
            raise PlanError(f"no endpoint is up at {now_s:g} s; shorten an --outage")
        keys = _keys(request)
        clock = self._clock

        began_s = clock()
        endpoint = self._chooser.choose(self._up, keys, request.input_tokens, now_s)
        chosen_s = clock()
        cached = _tokens(request, self._caches[endpoint.id].read(request.blocks, now_s))
        usage = Usage(request.input_tokens, request.output_tokens, cached_tokens=cached)
        answered_s = clock()
        self._chooser.answered(usage, now_s)
        self._decided_s += clock() - answered_s + chosen_s - began_s

        self._requests += 1
        self._hit += cached
        self._possible += _tokens(request, self._one_cache.read(request.blocks, now_s))
        self._measure(request, endpoint.id, cached)

    def outcome(self) -> Outcome:
        moves = self._moves
        total = sum(self._balance.totals.values())
        return Outcome(
            requests=self._requests,
            hit_ratio=self._hit / self._possible if self._possible else 1.0,
            cost_imbalance_1m=self._balance.by_minute(),
            cost_imbalance_run=self._balance.whole(),
            warm_moves=moves.share(moves.moved),
            collateral_moves=moves.share(moves.collateral),
            return_moves=moves.share(moves.returned),
            users_on_one_endpoint=self._homes.on_one(),
            endpoint_share={
                endpoint.id: self._balance.totals.get(endpoint.id, 0.0) / total if total else 0.0
                for endpoint in self._endpoints
            },
            share_after={name: _of_fair(name, after) for name, after in self._after.items()},
            decisions_per_s=self._requests / self._decided_s if self._decided_s else None,
        )

    def _change_to(self, now_s: float) -> None:
        changed = not self._up
        while self._events and self._events[0][0] <= now_s:
            _, number, there = self._events.pop(0)
            name = self._endpoints[number].id
            self._concerned.add(name)
            if there:
                self._after[name] = Balance(self._weights)
            else:
                self._caches[name].clear()
                self._after.pop(name, None)
            changed = True
        if changed:
            self._up = self._plan.up(self._endpoints, now_s)
            self._up_ids = tuple(endpoint.id for endpoint in self._up)

    def _measure(self, request: Request, endpoint: str, cached: int) -> None:
        now_s, up = request.t, self._up_ids
        cost = request.input_tokens - cached + CACHED_COST * cached
        cost += OUTPUT_COST * request.output_tokens
        for balance in (self._balance, *self._after.values()):
            balance.add(endpoint, cost, up, now_s)
        self._moves.add(request.session, endpoint, up, now_s, concerned=self._concerned)
        self._homes.add(request.user, endpoint)


def _keys(request: Request) -> StickyKeys:
    return StickyKeys(
        session=sticky_key("trace", MODEL, "session", request.session.encode()),
        user=sticky_key("trace", MODEL, "user", request.user.encode()),
    )


def _tokens(request: Request, blocks: int) -> int:
    return min(blocks * request.block_tokens, request.input_tokens)


def _of_fair(name: str, balance: Balance) -> float:
    total = sum(balance.totals.values())
    if not total:
        return 0.0
    weight = balance.weights[name] / sum(balance.weights.values())
    return balance.totals.get(name, 0.0) / total / weight
