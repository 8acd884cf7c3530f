"""Where prices come from: the public price list in `genai-prices`, or the operator's config."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from genai_prices import data_snapshot
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from regulars.model.money import TOKENS_PER_MILLION, Price

DECIMALS_MAX: Final = 12
"""A configured price has at most this many decimals; real ones have four."""

PRICE_HORIZON_DAYS: Final = 60
"""How far ahead changes of a price are looked up; a process is restarted more often than that."""

PRICE_USD_MAX: Final = Decimal(1_000_000)
"""A configured price above this, per million tokens or per request, is a typing mistake."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REQUIRED: Final = ("prompt", "completion")
_OPTIONAL: Final = ("cache_read", "cache_write", "cache_write_1h", "audio", "audio_output")
_PER_REQUEST: Final = "request"
_REQUESTS_PER_UNIT: Final = Decimal(1000)
_LISTED_PARTS: Final = {
    "prompt": "input_mtok",
    "completion": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
}


def known_price(
    provider_slug: str, base_url: str, upstream_model: str, at: datetime
) -> Price | None:
    """Look a price up in the public list as it stood at a time; None when it has none.

    The base URL names the provider, else its slug does. Free models come back as 0. Where a
    price rises with the length of the prompt the price has tiers; where the list knows that it
    changes, within PRICE_HORIZON_DAYS or by the hour of the day, it has dates; where other service
    tiers cost something else, it has services. A separate price for reasoning, images or searches
    is left out, since `Price` has no such part.
    """
    listed = _listed(upstream_model, provider_slug, base_url)
    if listed is None:
        return None
    standard = _over_time(listed, at, {})
    if standard is None:
        return None
    tiers = _services(listed)
    services = [(name, _over_time(listed, at, context)) for name, context in tiers]
    priced = tuple((name, price) for name, price in services if price is not None)
    return replace(standard, services=priced) if priced else standard


def config_price(mapping: Mapping[str, str]) -> Price:
    """Read a config's price table: USD per million tokens as text, `request` USD per request.

    Raises:
        ValueError: a key or value is wrong; the message names it.
    """
    known = (*_REQUIRED, *_OPTIONAL, _PER_REQUEST)
    for key in mapping:
        if key not in known:
            raise ValueError(f"unknown price key {key!r}; use {', '.join(known)}")
    for key in _REQUIRED:
        if key not in mapping:
            raise ValueError(f"price needs {key!r}: USD per million tokens, as text")
    usd = {key: _usd(key, text) for key, text in mapping.items()}
    per_token: dict[str, Any] = {
        key: value / TOKENS_PER_MILLION for key, value in usd.items() if key in known[:-1]
    }
    return Price(**per_token, request=usd.get(_PER_REQUEST, Decimal(0)))


def _listed(upstream_model: str, provider_slug: str, base_url: str) -> ModelInfo | None:
    snapshot = data_snapshot.get_snapshot()
    for provider_id, api_url in ((None, base_url), (provider_slug, None)):
        try:
            return snapshot.find_provider_model(upstream_model, None, provider_id, api_url)[1]
        except LookupError:
            continue  # the list does not know it by this name
    return None


def _services(listed: ModelInfo) -> list[tuple[str, dict[str, str]]]:
    """Return the service tiers the list knows: (the tier's name, how the list is asked for it)."""
    found: dict[str, dict[str, str]] = {}
    for variant in listed.price_variants or ():
        match variant.when:
            case {"service_tier": "default"}:
                pass
            case {"service_tier": tier, **rest} if not rest:
                found[tier] = {"service_tier": tier}
            case {"processing": "batch", **rest} if not rest:
                found["batch"] = {"processing": "batch"}
            case _:
                pass  # by route or kind of search: nothing an answer tells us
    return list(found.items())


def _over_time(listed: ModelInfo, at: datetime, context: Mapping[str, str]) -> Price | None:
    """Return one service tier's price, with the dates on which it changes."""
    now = _price_of(listed.get_prices(at, context))
    if now is None:
        return None
    changes = [(_micros(at), now)]
    for moment in _moments(listed, at):
        then = _price_of(listed.get_prices(moment, context))
        if then is not None and then != changes[-1][1]:
            changes.append((_micros(moment), then))
    return replace(now, tiers=(), dated=tuple(changes)) if len(changes) > 1 else now


def _moments(listed: ModelInfo, at: datetime) -> list[datetime]:
    """Return when a model's prices may change after a time, in order."""
    standard = listed.prices if isinstance(listed.prices, list) else []
    days = [at.date() + timedelta(days=number) for number in range(PRICE_HORIZON_DAYS + 1)]
    moments: set[datetime] = set()
    for price in (*standard, *(listed.price_variants or ())):
        match price.constraint:
            case StartDateConstraint(start_date=start):
                moments.add(datetime.combine(start, time(), UTC))
            case TimeOfDateConstraint(start_time=start, end_time=end):
                for moment in (start, end):
                    zone = moment.tzinfo or UTC
                    moments |= {datetime.combine(day, moment, zone).astimezone(UTC) for day in days}
            case None:
                pass
    last = at + timedelta(days=PRICE_HORIZON_DAYS)
    return sorted(moment for moment in moments if at < moment <= last)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _price_of(listed: ModelPrice) -> Price | None:
    values = {key: value for key, value in vars(listed).items() if value is not None}
    base = _plain({key: _tier(value, None) for key, value in values.items()})
    if base is None:
        return None
    starts = {
        tier.start
        for value in values.values()
        if isinstance(value, TieredPrices)
        for tier in value.tiers
    }
    if not starts:
        return base
    tiers: list[tuple[int, Price]] = [(-1, base)]
    for start in sorted(starts):
        above = _plain({key: _tier(value, start) for key, value in values.items()})
        assert above is not None, "the same parts are priced in every tier"
        tiers.append((start, above))
    return replace(base, tiers=tuple(tiers))


def _plain(usd: Mapping[str, Decimal]) -> Price | None:
    if usd and "input_mtok" not in usd and "output_mtok" not in usd:
        return None  # priced by the hour, page or character: not a price of tokens
    per_token: dict[str, Any] = {
        part: usd[key] / TOKENS_PER_MILLION for part, key in _LISTED_PARTS.items() if key in usd
    }
    free: dict[str, Any] = {"prompt": Decimal(0), "completion": Decimal(0)}
    request = usd.get("requests_kcount", Decimal(0)) / _REQUESTS_PER_UNIT
    return Price(**(free | per_token), request=request)


def _tier(value: Decimal | TieredPrices, start: int | None) -> Decimal:
    """Return the price of prompts just longer than `start`; of the shortest for None."""
    if not isinstance(value, TieredPrices):
        return value
    price = value.base
    for tier in value.tiers:
        if start is not None and tier.start <= start:
            price = tier.price
    return price


def _usd(key: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as exc:
        raise ValueError(f'price {key} = {text!r} is not a number; write it like "0.60"') from exc
    if not value.is_finite() or value < 0:
        raise ValueError(f"price {key} = {text!r} must be finite and not negative")
    if value > PRICE_USD_MAX:
        raise ValueError(f"price {key} = {text!r} is above {PRICE_USD_MAX} USD")
    if -int(value.as_tuple().exponent) > DECIMALS_MAX:
        raise ValueError(f"price {key} = {text!r} has more than {DECIMALS_MAX} decimals")
    return value
