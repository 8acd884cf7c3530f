"""What an upstream says it charged for an answer, in its several ways → nano-USD."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

import msgspec
from msgspec import Raw

from regulars.model.money import NANO, ReportedCost
from regulars.providers.openai.kept import kept_name

COST_USD_MAX: Final = Decimal(100_000)
"""A figure above this is a mistake, or malice: a sum of nano-USD holds 92,000 of them."""

TICKS_PER_USD: Final = Decimal(10_000_000_000)
"""xAI counts money in ticks. Source: docs.x.ai/developers/cost-tracking, read 2026-11-22."""

_NULL: Final = Raw(b"null")


class _CostDetails(msgspec.Struct):
    upstream_inference_cost: Decimal | None = None
    upstream_inference_completions_cost: Decimal | None = None


class _CostTable(msgspec.Struct):
    """Perplexity's: a table in place of a number."""

    total_cost: Decimal | None = None
    output_tokens_cost: Decimal | None = None


class _Charged(msgspec.Struct):
    cost: Decimal | _CostTable | None = None
    cost_details: _CostDetails | None = None
    is_byok: bool | None = None
    estimated_cost: Decimal | None = None  # DeepInfra
    cost_in_usd_ticks: Decimal | None = None  # xAI


class _Served(msgspec.Struct):
    service_tier: str | None = None


_CHARGED: Final = msgspec.json.Decoder(_Charged)
_SERVED: Final = msgspec.json.Decoder(_Served)
_TIERED: Final = msgspec.json.Decoder(str | None)


def read_cost(usage: Raw | bytes) -> ReportedCost | None:
    """Read from a `usage` object what was charged; None if it does not say.

    At a reseller like OpenRouter, with a provider's key of our own (`is_byok`), `cost` is only
    the fee: what the provider bills comes on top, and where that is not said neither is the
    total. A figure that cannot be (negative, absurd) counts as not given.
    """
    if bytes(usage).find(b"cost") < 0:  # nearly always; `in` would cost three times as much
        return None
    try:
        charged = _CHARGED.decode(usage)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    said, completion = _said(charged)
    if said is None:
        return None
    byok = _billed_elsewhere(charged)
    if charged.is_byok and byok is None:
        return None
    total = said if byok is None else said + byok
    return ReportedCost(
        total=_nano(total),
        completion=None if completion is None else _nano(min(completion, total)),
        byok=None if byok is None else _nano(byok),
    )


def read_service_tier(tier: Raw | None) -> str | None:
    """Read the service tier an answer says has served; None where it names none we can keep."""
    if tier is None or tier == _NULL:
        return None
    try:
        return kept_name(_TIERED.decode(tier))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_usage_tier(usage: Raw | bytes) -> str | None:
    """Read the service tier from a `usage` object, where Anthropic says it."""
    if bytes(usage).find(b'"service_tier"') < 0:
        return None
    try:
        return kept_name(_SERVED.decode(usage).service_tier)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _said(charged: _Charged) -> tuple[Decimal | None, Decimal | None]:
    """Return the total and the completion's part as they were said."""
    if isinstance(charged.cost, _CostTable):
        return _possible(charged.cost.total_cost), _possible(charged.cost.output_tokens_cost)
    if charged.cost is not None:
        details = charged.cost_details or _CostDetails()
        completion = _possible(details.upstream_inference_completions_cost)
        return _possible(charged.cost), completion
    if charged.cost_in_usd_ticks is not None:
        return _possible(charged.cost_in_usd_ticks, unit=TICKS_PER_USD), None
    return _possible(charged.estimated_cost), None


def _billed_elsewhere(charged: _Charged) -> Decimal | None:
    """Return what a provider bills to our own key at a reseller."""
    if not charged.is_byok or charged.cost_details is None:
        return None
    return _possible(charged.cost_details.upstream_inference_cost)


def _possible(value: Decimal | None, *, unit: Decimal = Decimal(1)) -> Decimal | None:
    # Looked at before anything is computed: NaN and 1e999999999 are decimals too.
    if value is None or not value.is_finite() or not 0 <= value <= COST_USD_MAX * unit:
        return None
    return value / unit


def _nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value(ROUND_HALF_EVEN))
