"""Where prices come from: the public price list in `genai-prices`, or the operator's config."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

from regulars.model.money import TOKENS_PER_MILLION, Price

DECIMALS_MAX: Final = 12
"""A configured price has at most this many decimals; real ones have four."""

PRICE_USD_MAX: Final = Decimal(1_000_000)
"""A configured price above this, per million tokens or per request, is a typing mistake."""

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
    price rises with the length of the prompt the base tier counts; a separate price for
    reasoning, images or searches is left out, since `Price` has no such part.
    """
    listed = _listed(upstream_model, provider_slug, base_url)
    return None if listed is None else _price_of(listed.get_prices(at))


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
    per_token = {key: value / TOKENS_PER_MILLION for key, value in usd.items() if key in known[:-1]}
    return Price(**per_token, request=usd.get(_PER_REQUEST, Decimal(0)))


def _listed(upstream_model: str, provider_slug: str, base_url: str) -> ModelInfo | None:
    snapshot = data_snapshot.get_snapshot()
    for provider_id, api_url in ((None, base_url), (provider_slug, None)):
        try:
            return snapshot.find_provider_model(upstream_model, None, provider_id, api_url)[1]
        except LookupError:
            continue  # the list does not know it by this name
    return None


def _price_of(listed: ModelPrice) -> Price | None:
    usd = {key: _base(value) for key, value in vars(listed).items() if value is not None}
    if usd and "input_mtok" not in usd and "output_mtok" not in usd:
        return None  # priced by the hour, page or character: not a price of tokens
    per_token = {
        part: usd[key] / TOKENS_PER_MILLION for part, key in _LISTED_PARTS.items() if key in usd
    }
    free = {"prompt": Decimal(0), "completion": Decimal(0)}
    request = usd.get("requests_kcount", Decimal(0)) / _REQUESTS_PER_UNIT
    return Price(**(free | per_token), request=request)


def _base(value: Decimal | TieredPrices) -> Decimal:
    return value.base if isinstance(value, TieredPrices) else value


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
