"""Who serves what: providers, their endpoints, models, and the snapshot requests look things up in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from regulars.model.money import Price

EndUserField: TypeAlias = Literal["none", "user", "safety_identifier", "metadata.user_id"]
Quantization: TypeAlias = Literal[
    "int4",
    "int8",
    "fp4",
    "mxfp4",
    "nvfp4",
    "fp6",
    "fp8",
    "mxfp8",
    "fp16",
    "bf16",
    "fp32",
    "unknown",
]
CacheKeyRule: TypeAlias = Literal["pass", "fill", "drop"]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a provider is told of who asks: at most a pseudonym.

    `end_user_field` is the field of its requests that carries the end user's. Of the client's
    own `prompt_cache_key`: `pass` sends it on, `fill` also sends the end user's pseudonym where
    there is none, `drop` never sends any.
    """

    end_user_field: EndUserField = "none"
    prompt_cache_key: CacheKeyRule = "pass"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Bounds on waiting for an upstream, in seconds."""

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 60.0
    total_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Provider:
    """Who runs models, and how to reach them. `key` is the secret itself: never print it.

    `allow_link_local`: may have a link-local address or that of a cloud's metadata service.
    """

    slug: str
    name: str
    dialect: str
    base_url: str
    key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    timeouts: Timeouts = Timeouts()
    cache_ttl_s: float | None = None
    allow_link_local: bool = False
    disclosure: Disclosure = Disclosure()


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of an endpoint beside its price. None and `unknown`: nobody said."""

    tag: str | None = None
    """Slug that means this endpoint alone, like `deepinfra/turbo`."""
    tier: bool = False
    """A service tier: never meant by its provider's base slug."""
    parameters: frozenset[str] | None = None
    quantization: Quantization = "unknown"
    keeps_data: bool | None = None
    zdr: bool = False
    distillable: bool | None = None
    """Whether the model's author allows training others on its text."""
    completion_tokens_max: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider's offer of one model.

    `id` is stable over restarts and order in the config (it places users): `provider/model`
    unless the config names it. `price` is None where nobody knows it. `cache_ttl_s` overrides
    the provider's; `tokens_per_minute` is what it can take, None where nobody said.
    """

    id: str
    model: str
    provider: Provider
    upstream_model: str
    price: Price | None
    capacity: float = 1.0
    context_length: int | None = None
    cache_ttl_s: float | None = None
    tokens_per_minute: float | None = None
    traits: Traits = Traits()


@dataclass(frozen=True, slots=True)
class Model:
    """One model as clients name it, with the endpoints that serve it in config order."""

    id: str
    name: str
    created: int
    context_length: int | None
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Catalog:
    """All models by the id that clients send."""

    models: Mapping[str, Model]

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint of every model."""
        return tuple(endpoint for model in self.models.values() for endpoint in model.endpoints)

    def provider_name(self, asked: str) -> str:
        """Return the name the ledger keeps for a provider asked for by name or slug."""
        for endpoint in self.endpoints:
            if asked.lower() in (endpoint.provider.slug, endpoint.provider.name.lower()):
                return endpoint.provider.name
        return asked  # of an earlier configuration, perhaps
