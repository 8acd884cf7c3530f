"""A ledger that looks like a few weeks of real use: seeded, so every run has the same rows."""

from decimal import Decimal
from math import pi, sin
from random import Random
from typing import Final

from msgspec.structs import replace

from regulars.billing.price import cost, price_text
from regulars.model.caller import ApiKey, Role, key_hash, key_label
from regulars.model.catalog import Catalog, Endpoint, Model, Provider
from regulars.model.generation import Attempt, CostSource, Generation, Outcome, UsageSource
from regulars.model.ids import GENERATION_RANDOM_BITS, generation_id
from regulars.model.money import Price
from regulars.model.tokens import Usage

MANAGEMENT_SECRET: Final = "sk-reg-management-for-tests-only"
INFERENCE_SECRET: Final = "sk-reg-inference-for-tests-only"
HOSTILE_IDS: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "\u202egnirts desrever\u202c",
    "../../etc/passwd",
    "a/b//c?d=e#f&g=%2F%00",
    "x" * 512,
    "{{ 7 * 7 }}{% raw %}",
    "  spaces  ",
    "..",
    "Other",
    "\u05e9\u200f\u05dc\u05d5\u05dd-\u0639\u0628\u062f",
    "👩\u200d🚀" * 40,
    "=cmd|' /C calc'!A0",
)
_DAY_S: Final = 86_400
_SESSION_S: Final = 6 * 3600
_PEOPLE: Final = (
    "ada.lovelace", "grace.hopper", "linus", "margaret_h", "user_8271", "barbara", "dennis.r",
    "katherine", "org:acme/ops-bot", "tenant-42:anna", "radia", "user_1093", "hedy", "alan",
)  # fmt: skip
_MODELS: Final = {
    "meta/llama-3.3-70b": ("0.60", "0.80", ("northwind", "alpenglow", "kestrel")),
    "qwen/qwen3-235b": ("0.22", "0.88", ("alpenglow", "kestrel")),
    "deepseek/deepseek-v3.2": ("0.27", "0.40", ("northwind", "kestrel", "juniper")),
    "mistral/mistral-small": ("0.10", "0.30", ("juniper",)),
}
_PROVIDERS: Final = {
    slug: Provider(slug, slug, "openai", "http://x", cache_ttl_s=life_s)
    for slug, life_s in (
        ("northwind", 300),
        ("alpenglow", 3600),
        ("kestrel", None),
        ("juniper", None),
    )
}
_HOLDOUT: Final = frozenset(_PEOPLE[1::3])
"""Who is routed without warmth, and so reads less from caches."""
_WARM: Final = (0, 0.7, 0.85, 0.9, 0.93)
_COLD: Final = (0, 0, 0.4, 0.85, 0.9)
_REASONS: Final = ("warm-session",) * 6 + ("warm-user",) * 3 + ("idle", "cold", "heavy", "valve")


def sample_keys() -> tuple[ApiKey, ApiKey]:
    """A management and an inference key, for the secrets above."""
    return (
        _key(MANAGEMENT_SECRET, "first management key", Role.MANAGEMENT),
        _key(INFERENCE_SECRET, "web app", Role.INFERENCE),
    )


def sample_catalog() -> Catalog:
    """The models and providers that the sample's rows name."""
    models: dict[str, Model] = {}
    for name, (prompt, completion, slugs) in _MODELS.items():
        price = Price(
            Decimal(prompt) / 10**6,
            Decimal(completion) / 10**6,
            cache_read=None if slugs[0] == "juniper" else Decimal(prompt) / 10**7,
        )
        endpoints = tuple(
            Endpoint(f"{slug}/{name}", name, _PROVIDERS[slug], name, price) for slug in slugs
        )
        models[name] = Model(name, name, 0, 131_072, endpoints)
    return Catalog(models)


def sample_rows(now_s: float, *, days: int = 40, count: int = 4000) -> list[Generation]:
    """Rows up to `now_s`, oldest first: busier by day and towards the end."""
    chance = Random(7)
    times = sorted(_moment(chance, now_s, days) for _ in range(count))
    return [_row(chance, at_s) for at_s in times]


def hostile_rows(now_s: float) -> list[Generation]:
    """One row for each id that a stranger could have chosen to break a page."""
    chance = Random(8)
    return [
        replace(_row(chance, now_s - 60 * index), end_user=name, app=name, user_agent=name)
        for index, name in enumerate(HOSTILE_IDS, start=1)
    ]


def _key(secret: str, name: str, role: Role) -> ApiKey:
    return ApiKey(key_hash(secret), name, key_label(secret), role, "default", 1_700_000_000_000)


def _moment(chance: Random, now_s: float, days: int) -> float:
    while True:
        at_s = now_s - 2 - days * _DAY_S * chance.random() ** 1.6
        if chance.random() < 0.55 + 0.45 * sin((at_s % _DAY_S) / _DAY_S * 2 * pi - pi / 2):
            return at_s


def _row(chance: Random, at_s: float) -> Generation:
    at_us = int(at_s * 1_000_000)
    model = chance.choices(list(_MODELS), (5, 3, 2, 1))[0]
    prompt_price, completion_price, slugs = _MODELS[model]
    person = min(int(chance.expovariate(0.28)), len(_PEOPLE))
    user = None if person == len(_PEOPLE) else _PEOPLE[person]
    # Now and then somebody moves.
    provider = slugs[(person + (int(at_s // _DAY_S) + person) // 2) % len(slugs)]
    price = Price(
        Decimal(prompt_price) / 10**6,
        Decimal(completion_price) / 10**6,
        cache_read=Decimal(prompt_price) / 10**7,
    )
    prompt = int(chance.lognormvariate(8.4, 0.9))
    usage = Usage(
        prompt_tokens=prompt,
        completion_tokens=int(chance.lognormvariate(5.6, 0.8)) + 1,
        cached_tokens=int(prompt * chance.choice(_COLD if user in _HOLDOUT else _WARM)),
        reasoning_tokens=1 if chance.random() < 0.1 else None,
    )
    row = Generation(
        id=generation_id(at_us, chance.getrandbits(GENERATION_RANDOM_BITS)),
        created_at_us=at_us,
        account="default",
        key_hash=sample_keys()[1].hash,
        outcome=Outcome.COMPLETED,
        status=200,
        model=model,
        streamed=True,
        end_user=user,
        # Two conversations of each at a time.
        session=f"chat-{person}-{int(at_s // _SESSION_S)}-{chance.randrange(10_000) % 2}",
        provider=provider,
        endpoint=f"{provider}/{model}",
        upstream_model=model,
        upstream_id=f"chatcmpl-{chance.getrandbits(48):x}",
        finish_reason="stop",
        native_finish_reason="eos_token",
        usage=usage,
        usage_source=UsageSource.REPORTED,
        cost=cost(usage, price),
        cost_source=CostSource.COMPUTED,
        price=price_text(price),
        ttft_ms=chance.lognormvariate(5.6, 0.5),
        duration_ms=chance.lognormvariate(7.9, 0.6) + 600,
        app="Support desk",
        user_agent="openai-python/2.9",
    )
    return _with_ending(chance, row, slugs)


def _with_ending(chance: Random, row: Generation, slugs: tuple[str, ...]) -> Generation:
    """Let most rows end well, some after a failover, a few not at all."""
    luck = chance.random()
    reason = chance.choice(_REASONS)
    reason = "holdout" if row.end_user in _HOLDOUT else reason
    endpoint, provider = row.endpoint or "", row.provider or ""
    whole = Attempt(endpoint, provider, reason, 200, None, 1.2, row.duration_ms - 1.5)
    if luck > 0.06 or len(slugs) == 1:
        return replace(row, attempts=(whole,))
    other = next(slug for slug in slugs if slug != provider)
    first = Attempt(f"{other}/{row.model}", other, reason, 503, "provider_unavailable", 1.1, 240.0)
    second = replace(whole, reason="failover", started_ms=242.0, duration_ms=row.duration_ms - 243)
    if luck > 0.02:
        return replace(row, attempts=(first, second))
    if luck > 0.012:
        return replace(row, outcome=Outcome.CANCELLED, status=499, attempts=(whole,), cost=None)
    failed = replace(second, status=502, error="provider_unavailable", duration_ms=310.0)
    return replace(
        row, outcome=Outcome.FAILED, status=502, error="provider_unavailable", usage=None,
        usage_source=None, cost=None, ttft_ms=None, finish_reason=None, duration_ms=555.0,
        attempts=(first, failed),
    )  # fmt: skip
