"""What to serve where no configuration says so: keys in the environment, else local servers.

Neither found means the demo; that is for the caller to start.
"""

import http.client
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from regulars.config.known_providers import (
    KNOWN_PROVIDERS,
    LOCAL_SERVERS,
    KnownProvider,
    LocalServer,
)
from regulars.config.load import PriceQuery, Prices
from regulars.model.catalog import Catalog, Endpoint, Model, Provider

PROBE_TIMEOUT_S: Final = 0.5
PROBE_BYTES_MAX: Final = 1_000_000
LOCAL_MODELS_MAX: Final = 200

_DIALECT: Final = "openai"


@dataclass(frozen=True, slots=True)
class Found:
    """What was discovered, and how to tell it to the operator."""

    catalog: Catalog
    where: str


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider's offer of one model, before it is an endpoint."""

    model: str
    provider: Provider
    upstream_model: str
    context_length: int | None = None


def discover(
    env: Mapping[str, str], prices: Prices, *, servers: Sequence[LocalServer] = LOCAL_SERVERS
) -> Found | None:
    """Look for providers; None where there is nothing but the demo (or `REGULARS_DISCOVER=demo`)."""
    if env.get("REGULARS_DISCOVER") == "demo":
        return None
    keyed = [known for known in KNOWN_PROVIDERS if env.get(known.key_env, "").strip()]
    if keyed:
        offers = [offer for known in keyed for offer in _known_offers(known, env)]
        where = ", ".join(known.key_env for known in keyed)
        return Found(catalog(offers, prices), f"keys in the environment: {where}")
    answers = [(server, probe(server.port)) for server in servers]
    offers = [offer for server, models in answers for offer in local_offers(server, models)]
    if not offers:
        return None
    where = ", ".join(
        f"{server.name} on port {server.port}" for server, models in answers if models
    )
    return Found(catalog(offers, prices), f"local server: {where}")


def catalog(offers: Iterable[Offer], prices: Prices) -> Catalog:
    """Group offers by model; the same model at several providers becomes several endpoints."""
    by_model: dict[str, list[Offer]] = {}
    for offer in offers:
        by_model.setdefault(offer.model, []).append(offer)
    return Catalog(
        models={
            model: Model(
                id=model,
                name=model,
                created=0,
                context_length=max((o.context_length or 0 for o in group), default=0) or None,
                endpoints=tuple(_endpoint(offer, prices) for offer in group),
            )
            for model, group in by_model.items()
        }
    )


def local_offers(server: LocalServer, models: Mapping[str, int | None]) -> list[Offer]:
    """Offer what a local server lists; a bare name gets the server's in front: `ollama/llama3`."""
    provider = Provider(
        slug=server.slug,
        name=server.name,
        dialect=_DIALECT,
        base_url=f"http://127.0.0.1:{server.port}/v1",
    )
    return [
        Offer(
            model=name if "/" in name.strip("/") else f"{server.slug}/{name}",
            provider=provider,
            upstream_model=name,
            context_length=length,
        )
        for name, length in models.items()
    ]


def probe(port: int) -> dict[str, int | None]:
    """Ask a port on this machine for its models: name → context length, empty if it is no LLM server."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request("GET", "/v1/models", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(PROBE_BYTES_MAX)
    except (OSError, http.client.HTTPException):
        return {}  # nobody there, or no HTTP: the usual case
    finally:
        connection.close()
    return models_in(body) if answer.status == 200 else {}


def models_in(body: bytes) -> dict[str, int | None]:
    """Read an OpenAI list of models, leniently; anything else is empty."""
    try:
        listed: Any = json.loads(body)
    except ValueError:
        return {}
    rows: Any = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        return {}
    named = [row for row in rows if isinstance(row, dict) and _good_name(row.get("id"))]
    return {str(row["id"]): _context_length(row) for row in named[:LOCAL_MODELS_MAX]}


def _good_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= 150 and name.isascii() and name.isprintable()


def _context_length(row: Mapping[str, Any]) -> int | None:
    """Tokens, as vLLM and SGLang (`max_model_len`) or llama.cpp (`meta.n_ctx`) tell them."""
    meta: Any = row.get("meta")
    inner = meta.get("n_ctx") if isinstance(meta, dict) else None
    for length in (row.get("max_model_len"), inner):
        if isinstance(length, int) and length > 0:
            return length
    return None


def _known_offers(known: KnownProvider, env: Mapping[str, str]) -> list[Offer]:
    provider = Provider(
        slug=known.slug,
        name=known.name,
        dialect=_DIALECT,
        base_url=known.base_url,
        key=env[known.key_env].strip(),
        disclosure=known.disclosure,
    )
    return [Offer(model, provider, upstream) for model, upstream in known.models.items()]


def _endpoint(offer: Offer, prices: Prices) -> Endpoint:
    provider = offer.provider
    return Endpoint(
        id=f"{provider.slug}/{offer.model}",
        model=offer.model,
        provider=provider,
        upstream_model=offer.upstream_model,
        price=prices.of(PriceQuery(provider.slug, provider.base_url, offer.upstream_model)),
        context_length=offer.context_length,
    )
