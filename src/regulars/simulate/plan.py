"""What to replay a trace on: endpoints, nodes, and what happens to them."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from regulars.model.catalog import Endpoint, Provider

ENDPOINTS_MAX: Final = 1000
NODES_MAX: Final = 256
MODEL: Final = "trace"


class PlanError(ValueError):
    """A plan that contradicts itself; the message names the option and the fix."""


class Policy(Enum):
    """Who chooses the endpoint."""

    WARM = "warm"
    """The gateway's own router."""
    RANDOM = "random"
    HRW = "hrw"
    """Weighted rendezvous hashing of the user."""


@dataclass(frozen=True, slots=True)
class Outage:
    """An endpoint is away, and its cache empty when it is back. Times as in the trace."""

    endpoint: int
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """Times in seconds. `share_delay_s` None: the nodes tell each other nothing."""

    endpoints: int = 8
    weights: tuple[float, ...] = ()
    ttl_s: float = 300.0
    ttl_is_known: bool = True
    lru_blocks: int | None = None
    nodes: int = 1
    share_delay_s: float | None = 1.0
    policy: Policy = Policy.WARM
    outages: tuple[Outage, ...] = ()
    added_s: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.weights and len(self.weights) != self.endpoints:
            raise PlanError(
                f"--weights has {len(self.weights)} numbers for {self.endpoints} endpoints; "
                "give one for each"
            )
        for outage in self.outages:
            if outage.endpoint >= self.endpoints + len(self.added_s):
                raise PlanError(
                    f"--outage names endpoint {outage.endpoint}; they are numbered from 0 to "
                    f"{self.endpoints + len(self.added_s) - 1}"
                )

    def all_endpoints(self) -> tuple[Endpoint, ...]:
        """Make the endpoints, those added later last and with a weight of 1."""
        weights = self.weights or (1.0,) * self.endpoints
        return tuple(
            self._endpoint(number, weight)
            for number, weight in enumerate((*weights, *(1.0 for _ in self.added_s)))
        )

    def up(self, endpoints: tuple[Endpoint, ...], now_s: float) -> tuple[Endpoint, ...]:
        """Return the endpoints that can be chosen at a time."""
        down = {o.endpoint for o in self.outages if o.from_s <= now_s < o.to_s}
        return tuple(
            endpoint
            for number, endpoint in enumerate(endpoints)
            if number not in down and self._there(number, now_s)
        )

    def events(self) -> list[tuple[float, int, bool]]:
        """Return (time, endpoint, whether it is there from then on), in order of time."""
        lost = [(o.from_s, o.endpoint, False) for o in self.outages]
        back = [(o.to_s, o.endpoint, True) for o in self.outages]
        new = [(at_s, self.endpoints + n, True) for n, at_s in enumerate(self.added_s)]
        return sorted([*lost, *back, *new])

    def _there(self, number: int, now_s: float) -> bool:
        return number < self.endpoints or now_s >= self.added_s[number - self.endpoints]

    def _endpoint(self, number: int, weight: float) -> Endpoint:
        name = f"endpoint-{number}"
        ttl_s = self.ttl_s if self.ttl_is_known else None
        provider = Provider(
            slug=name, name=name, dialect="openai", base_url="http://unused/v1", cache_ttl_s=ttl_s
        )
        return Endpoint(
            id=name,
            model=MODEL,
            provider=provider,
            upstream_model=MODEL,
            price=None,
            capacity=weight,
        )
