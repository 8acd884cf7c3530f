"""The endpoints one request may go to, with all that is fixed about them made ready.

Weights are brought to a mean of 1, so that loads per weight compare with the floor whatever
unit capacities and prices come in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from heapq import nlargest
from math import log
from typing import Final

from regulars.model.catalog import Endpoint
from regulars.routing.cache_lives import documented_s
from regulars.routing.keys import DIGEST_BYTES, digest_unit

FLOOR: Final = 50_000.0
"""Cost units a minute and endpoint below which balance is worth nothing."""
FLOOR_OF_CAPACITY: Final = 0.25
"""Likewise where an endpoint's tokens per minute are configured."""
CACHED_COST: Final = 0.1
OUTPUT_COST: Final = 4.0
LINEUPS_MAX: Final = 1024
"""Different sets of candidates that are kept ready."""
PREFERENCE_RATIO_MAX: Final = 10.0
"""An endpoint cheaper than the dearest by more than this is not preferred further: a price of
0 would else draw everybody to one place."""


@dataclass(slots=True)
class Member:
    """One endpoint of a lineup. `floor` in cost units; the costs relative to a fresh token."""

    endpoint: Endpoint
    place: int
    id: str
    id_bytes: bytes
    ttl_s: float | None
    """Its cache's life, None where that is to be learned."""
    weight: float
    floor: float
    cached_cost: float
    output_cost: float

    def units(self, fresh: float, cached: float, output: float) -> float:
        """Weigh tokens by the endpoint's own price ratios."""
        return fresh + cached * self.cached_cost + output * self.output_cost


class Lineup:
    """Members by id, in the order they were given. `floor` is that of the mean member."""

    __slots__ = (
        "_by_weight",
        "cache_life_s",
        "candidates",
        "floor",
        "ids",
        "in_order",
        "members",
    )

    def __init__(
        self, candidates: Sequence[Endpoint], *, floor: float = FLOOR, price_counts: bool = False
    ) -> None:
        self.candidates = candidates
        weights = _weights(candidates, price_counts=price_counts)
        self.members = {
            endpoint.id: _member(endpoint, place, weight, floor)
            for place, (endpoint, weight) in enumerate(zip(candidates, weights, strict=True))
        }
        self.ids = tuple(self.members)
        self.floor = sum(member.floor for member in self.members.values()) / max(len(weights), 1)
        self.cache_life_s = max((m.ttl_s or 0.0 for m in self.members.values()), default=0.0)
        self.in_order = tuple(self.members.values())
        by_weight: dict[float, list[tuple[bytes, int]]] = {}
        for member in self.in_order:
            by_weight.setdefault(member.weight, []).append((member.id_bytes, member.place))
        self._by_weight = tuple(by_weight.items())

    def first(self, key: int, count: int) -> list[Member]:
        """Return the first `count` members in the key's own order (weighted rendezvous).

        The score is ln(u) / w, u a number of key and endpoint id in (0, 1). Among equal weights
        digests compare as their logarithms do, so that only the best of each need one.
        """
        key_bytes = key.to_bytes(DIGEST_BYTES, "big")
        best: list[tuple[float, int]] = []
        for weight, offers in self._by_weight:
            digests = {
                blake2b(key_bytes + id_bytes, digest_size=DIGEST_BYTES).digest(): place
                for id_bytes, place in offers
            }
            best += [
                (log(digest_unit(digest)) / weight, digests[digest])
                for digest in nlargest(count, digests)
            ]
        best.sort(reverse=True)
        return [self.in_order[place] for _, place in best[:count]]


class Lineups:
    """Lineups kept ready: by the very tuple of candidates, else by the endpoints in it."""

    __slots__ = ("_by_endpoints", "_by_tuple", "_floor", "_price_counts", "cache_life_s")

    def __init__(self, *, floor: float, price_counts: bool) -> None:
        self._floor = floor
        self._price_counts = price_counts
        self._by_tuple: dict[int, Lineup] = {}
        self._by_endpoints: dict[tuple[int, ...], Lineup] = {}
        self.cache_life_s = 0.0
        """The longest of any endpoint seen."""

    def of(self, candidates: Sequence[Endpoint]) -> Lineup:
        """Return the lineup of these candidates.

        What is looked up by its address is held by the lineup found, so the address is its own.
        """
        lineup = self._by_tuple.get(id(candidates))
        if lineup is not None and lineup.candidates is candidates:
            return lineup
        addresses = tuple(map(id, candidates))
        lineup = self._by_endpoints.get(addresses)
        if lineup is None:
            # `tuple` of a tuple is that tuple: the catalog's own is found by its address then.
            kept = tuple(candidates)
            lineup = Lineup(kept, floor=self._floor, price_counts=self._price_counts)
            if len(self._by_endpoints) >= LINEUPS_MAX:
                self._by_endpoints.clear()
                self._by_tuple.clear()
            self._by_endpoints[addresses] = lineup
            self._by_tuple[id(kept)] = lineup
            self.cache_life_s = max(self.cache_life_s, lineup.cache_life_s)
        return lineup


def _member(endpoint: Endpoint, place: int, weight: float, floor: float) -> Member:
    cached_cost, output_cost = _costs(endpoint)
    capacity = endpoint.tokens_per_minute
    return Member(
        endpoint=endpoint,
        place=place,
        id=endpoint.id,
        id_bytes=endpoint.id.encode(),
        ttl_s=_cache_life_s(endpoint),
        weight=weight,
        floor=floor * weight if capacity is None else capacity * FLOOR_OF_CAPACITY,
        cached_cost=cached_cost,
        output_cost=output_cost,
    )


def _cache_life_s(endpoint: Endpoint) -> float | None:
    """Return what is configured, else what the provider documents; None: to be learned."""
    provider = endpoint.provider
    for configured in (endpoint.cache_ttl_s, provider.cache_ttl_s):
        if configured is not None:
            return configured
    return documented_s(provider.slug)


def _costs(endpoint: Endpoint) -> tuple[float, float]:
    """Return what a cached and an output token cost, relative to a fresh one."""
    price = endpoint.price
    if price is None or not price.prompt:
        return CACHED_COST, OUTPUT_COST
    read = price.prompt if price.cache_read is None else price.cache_read
    return float(read / price.prompt), float(price.completion / price.prompt)


def _weights(candidates: Sequence[Endpoint], *, price_counts: bool) -> list[float]:
    """Return capacity x price preference of each, with a mean of 1."""
    weights = [endpoint.capacity for endpoint in candidates]
    if price_counts:
        weights = [w * p for w, p in zip(weights, _preferences(candidates), strict=True)]
    total = sum(weights)
    return [weight * len(weights) / total for weight in weights]


def _preferences(candidates: Sequence[Endpoint]) -> list[float]:
    """Return 1/price² of each; who has no price counts as the dearest."""
    known = [float(e.price.prompt + e.price.completion) for e in candidates if e.price is not None]
    dearest = max(known, default=0.0)
    if not dearest:
        return [1.0] * len(candidates)
    cheapest = dearest / PREFERENCE_RATIO_MAX
    prices = [
        dearest if e.price is None else float(e.price.prompt + e.price.completion)
        for e in candidates
    ]
    return [1.0 / max(price, cheapest) ** 2 for price in prices]
