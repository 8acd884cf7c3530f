"""A gateway in front of scripted providers that differ: in price, traits, model or script.

with routed_gateway(tmp_path, Offer(), Offer(traits=Traits(zdr=True))) as gateway:
    answer = gateway.chat(provider={"zdr": True})
    assert gateway.tried() == ["p1"]
"""

import contextlib
import json
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import (
    HELLO,
    MODEL,
    PRICE,
    Answer,
    RunningGateway,
    catalog,
    running_gateway,
)
from regulars.config.settings import RoutingSettings, ServerSettings, UpstreamSettings
from regulars.model.catalog import Catalog, Endpoint, Model, Traits
from regulars.model.money import Price

OTHER_MODEL = "test/other"


@dataclass(frozen=True, slots=True)
class Offer:
    """What one provider offers; they are named p0, p1, … in the order given."""

    script: Script = field(default_factory=Script)
    traits: Traits = field(default_factory=Traits)
    price: Price | None = PRICE
    model: str = MODEL
    cache_ttl_s: float | None = None


@dataclass(frozen=True, slots=True)
class RoutedGateway:
    """The gateway and its providers."""

    gateway: RunningGateway
    providers: tuple[ScriptedProvider, ...]

    def chat(self, *, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
        return self.gateway.chat(headers=headers, **fields)

    def explain(self, **fields: Any) -> Answer:
        body = json.dumps({"model": MODEL, "messages": HELLO, **fields}).encode()
        path = "/api/v1/routing/explain"
        return self.gateway.request("POST", path, body, key=self.gateway.management_key)

    def tried(self) -> list[str]:
        """Slugs of the endpoints that the last generation tried, in their order."""
        return [slug for slug, _ in self.attempts()]

    def attempts(self) -> list[tuple[str, str]]:
        """Slug and reason of each attempt of the last generation."""
        attempts = self.gateway.rows()[-1].attempts
        return [(attempt.endpoint.partition("/")[0], attempt.reason) for attempt in attempts]

    def received(self) -> list[int]:
        """How many requests each provider got."""
        return [len(provider.requests) for provider in self.providers]


def price(usd_per_million: str) -> Price:
    """Make a price that is the same for input and output."""
    usd = Decimal(usd_per_million) / 1_000_000
    return Price(prompt=usd, completion=usd)


@contextlib.contextmanager
def routed_gateway(
    folder: Path,
    *offers: Offer,
    server: ServerSettings | None = None,
    upstream: UpstreamSettings | None = None,
    routing: RoutingSettings | None = None,
) -> Generator[RoutedGateway]:
    """Run a gateway over these offers until the block ends."""
    with contextlib.ExitStack() as stack:
        providers = tuple(
            stack.enter_context(ScriptedProvider(default=offer.script)) for offer in offers
        )
        plain = catalog(providers).models[MODEL].endpoints
        endpoints = [
            replace(
                endpoint,
                id=f"{endpoint.provider.slug}/{offer.model}",
                model=offer.model,
                traits=offer.traits,
                price=offer.price,
                cache_ttl_s=offer.cache_ttl_s,
            )
            for endpoint, offer in zip(plain, offers, strict=True)
        ]
        gateway = stack.enter_context(
            running_gateway(
                folder,
                providers,
                serving=_catalog(endpoints),
                server=server,
                upstream=upstream,
                routing=routing,
            )
        )
        yield RoutedGateway(gateway, providers)


def _catalog(endpoints: list[Endpoint]) -> Catalog:
    names = dict.fromkeys(endpoint.model for endpoint in endpoints)
    return Catalog(
        {
            name: Model(name, name, 1, 4096, tuple(e for e in endpoints if e.model == name))
            for name in names
        }
    )
