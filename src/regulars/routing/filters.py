"""A request's wishes → the endpoints that may serve it, and a reason for each that may not.

`order` and `sort` rank strictly and turn warmth off; within everything else warmth decides.
Source: openrouter-api.md section 2.1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from regulars.model.catalog import Endpoint, Traits
from regulars.model.money import TOKENS_PER_MILLION
from regulars.routing.health import Refusal
from regulars.routing.wishes import Wishes

NARROWING: Final = ("tools", "response_format", "verbosity")
"""Parameters that narrow to supporting endpoints, if there are any, without being asked to."""
_INCLUDED: Final[Mapping[str, tuple[str, ...]]] = {"fp4": ("mxfp4", "nvfp4"), "fp8": ("mxfp8",)}
REASONS_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the request itself decides who can serve it."""

    parameters: frozenset[str] = frozenset()
    """Names of the parameters sent."""
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Speeds:
    """Percentiles by endpoint id, as `Health` measures them; None where nothing was measured."""

    ttft_s: Callable[[str, int], float | None] = lambda _endpoint, _percent: None
    tokens_per_s: Callable[[str, int], float | None] = lambda _endpoint, _percent: None


@dataclass(frozen=True, slots=True)
class Qualified:
    """Who may serve the request.

    With `ranked_by` (`order` or `sort`) they are to be tried in the order given, else warmth
    chooses among `endpoints`, and among `last` when those have failed.
    """

    endpoints: tuple[Endpoint, ...]
    last: tuple[Endpoint, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    ranked_by: str | None = None
    attempts_max: int | None = None


_NO_TRAITS: Final = Traits()


@dataclass(frozen=True, slots=True)
class Filter:
    """The wishes of one request, applied to endpoints."""

    wishes: Wishes = field(default_factory=Wishes)
    asked: Asked = Asked()
    traits: Mapping[str, Traits] = field(default_factory=dict[str, Traits])
    """By endpoint id."""
    speeds: Speeds = Speeds()

    def apply(self, endpoints: Sequence[Endpoint]) -> Qualified:
        """Sort out who may serve the request, and in which order."""
        left: list[Endpoint] = []
        refusals: list[Refusal] = []
        for endpoint in endpoints:
            reason = self._refusal(endpoint)
            if reason:
                refusals.append(Refusal(endpoint.id, reason))
            else:
                left.append(endpoint)
        left, narrowed = self._narrow(left)
        refusals += narrowed
        attempts_max = None if self.wishes.allow_fallbacks or self.wishes.order else 1
        if self.wishes.order:
            return Qualified(tuple(self._ordered(left)), (), tuple(refusals), "order")
        good = [endpoint for endpoint in left if self._fast_enough(endpoint)]
        slow = [endpoint for endpoint in left if endpoint not in good]
        ranking = self._ranking()
        if ranking is not None:
            # sorted() is stable: where nothing is known, the configured order stays.
            ranked = (*sorted(good, key=ranking), *sorted(slow, key=ranking))
            return Qualified(ranked, (), tuple(refusals), "sort", attempts_max)
        if not good:
            good, slow = slow, []
        return Qualified(tuple(good), tuple(slow), tuple(refusals), None, attempts_max)

    def _refusal(self, endpoint: Endpoint) -> str:
        """Return the first reason against an endpoint, nothing when there is none."""
        wishes, traits = self.wishes, self._traits(endpoint)
        if wishes.only and not self._named(endpoint, wishes.only):
            return "not in provider.only"
        if self._named(endpoint, wishes.ignore):
            return "in provider.ignore"
        if wishes.order and not wishes.allow_fallbacks and not self._named(endpoint, wishes.order):
            return "not in provider.order, and provider.allow_fallbacks is false"
        if wishes.deny_data_collection and traits.keeps_data is not False:
            kept = "keeps data" if traits.keeps_data else "is not known to keep no data"
            return f"{kept}, and provider.data_collection is deny"
        if wishes.zdr and not traits.zdr:
            return "has no zero data retention, and provider.zdr is true"
        if wishes.distillable and not traits.distillable:
            said = "does not allow" if traits.distillable is False else "is not known to allow"
            return f"{said} distillation, and provider.enforce_distillable_text is true"
        if wishes.quantizations and traits.quantization not in _expanded(wishes.quantizations):
            return f"quantization {traits.quantization} is not in provider.quantizations"
        return self._too_dear(endpoint) or self._unable(endpoint, traits)

    def _too_dear(self, endpoint: Endpoint) -> str:
        if not self.wishes.max_price:
            return ""
        price = endpoint.price
        if price is None:
            return "its price is unknown, and provider.max_price is given"
        million = TOKENS_PER_MILLION
        asked: dict[str, Decimal] = {
            "prompt": price.prompt * million,
            "completion": price.completion * million,
            "request": price.request,
            "audio": (price.prompt if price.audio is None else price.audio) * million,
        }
        for part, limit in self.wishes.max_price.items():
            if asked.get(part, Decimal(0)) > limit:
                return (
                    f"{part} costs {asked[part].normalize():f}, over provider.max_price {limit:f}"
                )
        return ""

    def _unable(self, endpoint: Endpoint, traits: Traits) -> str:
        if self.wishes.require_parameters and traits.parameters is not None:
            missing = sorted(self.asked.parameters - traits.parameters)
            if missing:
                return f"does not support {', '.join(missing)}"
        wanted = self.asked.max_tokens
        for limit in (traits.completion_tokens_max, endpoint.context_length):
            if wanted is not None and limit is not None and wanted > limit:
                return f"cannot produce {wanted} tokens, only {limit}"
        return ""

    def _narrow(self, endpoints: list[Endpoint]) -> tuple[list[Endpoint], list[Refusal]]:
        refusals: list[Refusal] = []
        for parameter in NARROWING:
            if parameter not in self.asked.parameters:
                continue
            able = [one for one in endpoints if self._supports(one, parameter)]
            if able:
                refusals += [
                    Refusal(one.id, f"does not support {parameter}")
                    for one in endpoints
                    if one not in able
                ]
                endpoints = able
        return endpoints, refusals

    def _supports(self, endpoint: Endpoint, parameter: str) -> bool:
        supported = self._traits(endpoint).parameters
        return supported is None or parameter in supported

    def _ordered(self, endpoints: list[Endpoint]) -> list[Endpoint]:
        """Put the listed first, in the order of the list."""
        ordered: list[Endpoint] = []
        for slug in self.wishes.order:
            ordered += [
                one for one in endpoints if one not in ordered and self._named(one, (slug,))
            ]
        return [*ordered, *(one for one in endpoints if one not in ordered)]

    def _ranking(self) -> Callable[[Endpoint], float] | None:
        match self.wishes.sort:
            case "price":
                return _price
            case "throughput":
                return lambda one: -(self.speeds.tokens_per_s(one.id, 50) or 0.0)
            case "latency":
                return lambda one: self.speeds.ttft_s(one.id, 50) or float("inf")
            case None:
                return None

    def _fast_enough(self, endpoint: Endpoint) -> bool:
        """Judge by what was measured; who was not measured is given the chance."""
        for percent, least in self.wishes.min_throughput.items():
            speed = self.speeds.tokens_per_s(endpoint.id, percent)
            if speed is not None and speed < least:
                return False
        for percent, most_s in self.wishes.max_latency_s.items():
            wait_s = self.speeds.ttft_s(endpoint.id, percent)
            if wait_s is not None and wait_s > most_s:
                return False
        return True

    def _named(self, endpoint: Endpoint, slugs: Sequence[str] | frozenset[str]) -> bool:
        traits = self._traits(endpoint)
        names = {endpoint.id.lower(), (traits.tag or endpoint.id).lower()}
        if not traits.tier:
            names.add(endpoint.provider.slug)
        return any(slug in names for slug in slugs)

    def _traits(self, endpoint: Endpoint) -> Traits:
        return self.traits.get(endpoint.id, _NO_TRAITS)


def refusals_text(model: str, refusals: Sequence[Refusal]) -> str:
    """Say why nobody is left, endpoint by endpoint, for a 404."""
    shown = [f"{refusal.endpoint}: {refusal.reason}" for refusal in refusals[:REASONS_SHOWN_MAX]]
    if len(refusals) > REASONS_SHOWN_MAX:
        shown.append(f"and {len(refusals) - REASONS_SHOWN_MAX} more")
    reasons = "; ".join(shown) or "it has none"
    return f"no endpoint of model {model!r} can serve this request: {reasons}"


def _expanded(quantizations: frozenset[str]) -> frozenset[str]:
    return quantizations.union(*(_INCLUDED.get(one, ()) for one in quantizations))


def _price(endpoint: Endpoint) -> float:
    price = endpoint.price
    return float("inf") if price is None else float(price.prompt + price.completion)
