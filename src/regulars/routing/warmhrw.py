"""WarmHRW: stay where a key is warm, choose freely only when it is cold.

Source: routing.md, "Decision". Rules 1 to 4 are here; learned cache life, health, the request's
own wishes and sharing between processes join at `choose` (they shrink or order `candidates`) and
at `Router.answered`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, log
from typing import Final

from regulars.model.catalog import Endpoint
from regulars.model.tokens import Usage
from regulars.routing.keys import StickyKeys, unit
from regulars.routing.load import Loads
from regulars.routing.placements import Placement, Placements

TTL_DEFAULT_S: Final = 300.0
"""Believed cache life where the provider's is not known."""
FLOOR: Final = 50_000.0
"""Cost units a minute and endpoint below which balance is worth nothing."""
HEAVY_SHARE: Final = 0.25
SPREAD_MIN: Final = 3
VALVE_OVER_FAIR: Final = 3.0
VALVE_GAIN: Final = 2.0
USER_OVER_FAIR: Final = 1.25
CACHED_COST: Final = 0.1
OUTPUT_COST: Final = 4.0
OUTPUT_TOKENS_START: Final = 200.0
OUTPUT_SMOOTHING: Final = 0.05


@dataclass(frozen=True, slots=True)
class Choice:
    """One endpoint to try, and why. `charged` is the load counted for it in advance."""

    endpoint: Endpoint
    reason: str
    charged: float


@dataclass(slots=True)
class Router:
    """The soft state of one process. Every method takes the time (monotonic seconds)."""

    floor: float = FLOOR
    placements: Placements = field(default_factory=Placements)
    under_way: Placements = field(default_factory=Placements)
    """First requests of a key that no answer has confirmed: a burst goes to one place."""
    endpoint_loads: Loads = field(default_factory=Loads)
    user_loads: Loads = field(default_factory=Loads)
    output_tokens: float = OUTPUT_TOKENS_START
    """Running mean of what an answer costs in output, until it is known."""

    def choose(
        self,
        candidates: Sequence[Endpoint],
        keys: StickyKeys,
        *,
        prompt_tokens: int,
        now_s: float,
        tried: Sequence[str] = (),
    ) -> Choice | None:
        """Choose among the candidates that were not tried; None when none is left.

        `prompt_tokens` is an estimate. The choice's load is counted at once, so that
        simultaneous requests see each other; `answered` or `failed` corrects it.
        """
        usable = [endpoint for endpoint in candidates if endpoint.id not in tried]
        if not usable:
            return None
        endpoint, reason, warm_tokens = self._decide(usable, keys, now_s)
        if tried:
            reason = "failover"
        elif len(candidates) == 1:
            reason = "only-one"
        cached = min(warm_tokens, prompt_tokens)
        charged = _units(endpoint, prompt_tokens - cached, cached, self.output_tokens)
        self.endpoint_loads.add(endpoint.id, charged, now_s)
        placement = Placement(endpoint.id, now_s, 0)
        self.under_way.put(keys.session, placement)
        self.under_way.put(keys.user, placement)
        return Choice(endpoint, reason, charged)

    def answered(self, choice: Choice, keys: StickyKeys, usage: Usage, now_s: float) -> None:
        """Record an answer: the keys are warm there, and the load is what it really was."""
        cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
        real = _units(
            choice.endpoint, usage.prompt_tokens - cached, cached, usage.completion_tokens
        )
        self._correct(choice, real, now_s)
        # Heavy is who was heavy, not who might be: a burst of first requests stays together.
        self.user_loads.add(keys.user, real, now_s)
        self.output_tokens += OUTPUT_SMOOTHING * (usage.completion_tokens - self.output_tokens)
        placement = Placement(choice.endpoint.id, now_s, usage.prompt_tokens)
        self.placements.put(keys.session, placement)
        self.placements.put(keys.user, placement)

    def failed(self, choice: Choice, now_s: float) -> None:
        """Take back the load of an attempt that came to nothing. Placements stay."""
        self._correct(choice, 0.0, now_s)

    def _correct(self, choice: Choice, real: float, now_s: float) -> None:
        self.endpoint_loads.add(choice.endpoint.id, real - choice.charged, now_s)

    def _decide(
        self, usable: list[Endpoint], keys: StickyKeys, now_s: float
    ) -> tuple[Endpoint, str, int]:
        """Apply the rules in order; returns (endpoint, reason, tokens believed warm)."""
        by_id = {endpoint.id: endpoint for endpoint in usable}
        scene = _Scene(self, usable, now_s)
        session = self._known(keys.session, by_id, now_s)
        user = self._known(keys.user, by_id, now_s)

        valve = False
        if session is not None and _warm(by_id[session.endpoint], session, now_s):
            endpoint = by_id[session.endpoint]
            valve = scene.valve_opens(endpoint, session.prompt_tokens)
            if not valve:
                return endpoint, "warm-session", session.prompt_tokens
        heavy = self.user_loads.of(keys.user, now_s) > HEAVY_SHARE * scene.fair
        if not valve and not heavy and user is not None:
            endpoint = by_id[user.endpoint]
            if _warm(endpoint, user, now_s) and scene.load(endpoint) <= USER_OVER_FAIR * scene.fair:
                return endpoint, "warm-user", user.prompt_tokens
        if not valve:
            for known in (session, user):
                if known is None or (heavy and known is user):
                    continue
                if scene.load(by_id[known.endpoint]) <= scene.fair:
                    return by_id[known.endpoint], "idle", 0
        endpoint = self._cold(usable, keys, scene, now_s)
        return endpoint, "valve" if valve else "heavy" if heavy else "cold", 0

    def _known(self, key: int, by_id: dict[str, Endpoint], now_s: float) -> Placement | None:
        placement = self.placements.get(key, now_s) or self.under_way.get(key, now_s)
        return placement if placement is not None and placement.endpoint in by_id else None

    def _cold(
        self, usable: list[Endpoint], keys: StickyKeys, scene: "_Scene", now_s: float
    ) -> Endpoint:
        """Rule 4: the least loaded of the first k in the user's own order."""
        share = self.user_loads.of(keys.user, now_s) / (HEAVY_SHARE * scene.fair)
        k = min(len(usable), max(SPREAD_MIN, ceil(share)))
        order = sorted(
            usable,
            key=lambda endpoint: log(unit(keys.user, endpoint.id)) / endpoint.capacity,
            reverse=True,
        )
        return min(order[:k], key=scene.load)


class _Scene:
    """Loads of the usable endpoints at one moment, per unit of weight."""

    __slots__ = ("_loads", "fair")

    def __init__(self, router: Router, usable: list[Endpoint], now_s: float) -> None:
        total = weight = 0.0
        self._loads: dict[str, float] = {}
        for endpoint in usable:
            load = router.endpoint_loads.of(endpoint.id, now_s)
            self._loads[endpoint.id] = load / endpoint.capacity
            total += load
            weight += endpoint.capacity
        self.fair = max(total / weight, router.floor)

    def load(self, endpoint: Endpoint) -> float:
        return self._loads[endpoint.id]

    def valve_opens(self, endpoint: Endpoint, warm_tokens: int) -> bool:
        load = self._loads[endpoint.id]
        if load <= VALVE_OVER_FAIR * self.fair:
            return False
        gain = load - min(self._loads.values())
        return gain > VALVE_GAIN * warm_tokens / endpoint.capacity


def _warm(endpoint: Endpoint, placement: Placement, now_s: float) -> bool:
    ttl_s = endpoint.provider.cache_ttl_s
    return now_s - placement.at_s <= (TTL_DEFAULT_S if ttl_s is None else ttl_s)


def _units(endpoint: Endpoint, fresh: float, cached: float, output: float) -> float:
    """Weigh tokens by the endpoint's own price ratios, in fresh prompt tokens."""
    price = endpoint.price
    if price is None or not price.prompt:
        return fresh + CACHED_COST * cached + OUTPUT_COST * output
    read = float(price.prompt if price.cache_read is None else price.cache_read)
    prompt = float(price.prompt)
    return fresh + cached * read / prompt + output * float(price.completion) / prompt
