"""What a request itself wants of its endpoints: its `provider` object and its model's suffix.

Source: openrouter-api.md section 2.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from regulars.model.catalog import Quantization
from regulars.model.errors import CallerError

SLUGS_MAX: Final = 200
SUFFIXES: Final[Mapping[str, "Sort"]] = {"nitro": "throughput", "floor": "price"}
PRICE_PARTS: Final = ("prompt", "completion", "request", "image", "audio")

Sort: TypeAlias = Literal["price", "throughput", "latency"]
Slug = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
Slugs = Annotated[list[Slug], msgspec.Meta(max_length=SLUGS_MAX)]
Amount = Annotated[float, msgspec.Meta(ge=0)]


@dataclass(frozen=True, slots=True)
class Wishes:
    """Empty and None: no wish. Prices in USD per million tokens (`request`: per request)."""

    order: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    allow_fallbacks: bool = True
    require_parameters: bool = False
    deny_data_collection: bool = False
    zdr: bool = False
    distillable: bool = False
    """Only models whose author allows that others are trained on their text."""
    quantizations: frozenset[str] = frozenset()
    sort: Sort | None = None
    mix_models: bool = False
    """Sort the endpoints of all models together (`sort.partition` is `none`)."""
    max_price: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    min_throughput: Mapping[int, float] = field(default_factory=dict[int, float])
    """Percent of answers → tokens per second they should reach."""
    max_latency_s: Mapping[int, float] = field(default_factory=dict[int, float])


class _SortBy(msgspec.Struct):
    by: Sort | Literal["exacto"] | None = None
    partition: Literal["model", "none"] | None = None


class _Cutoffs(msgspec.Struct):
    p50: Amount | None = None
    p75: Amount | None = None
    p90: Amount | None = None
    p99: Amount | None = None


class _Provider(msgspec.Struct):
    order: Slugs | None = None
    only: Slugs | None = None
    ignore: Slugs | None = None
    allow_fallbacks: bool | None = None
    require_parameters: bool | None = None
    data_collection: Literal["allow", "deny"] | None = None
    zdr: bool | None = None
    quantizations: list[Quantization] | None = None
    sort: Sort | Literal["exacto"] | _SortBy | None = None
    enforce_distillable_text: bool | None = None
    max_price: dict[str, str | float | None] | None = None
    preferred_min_throughput: Amount | _Cutoffs | None = None
    preferred_max_latency: Amount | _Cutoffs | None = None


_DECODER: Final = msgspec.json.Decoder(_Provider | None)


def read_wishes(provider: bytes | msgspec.Raw) -> Wishes:
    """Read the `provider` object of a request. Keys we don't know are left alone.

    Raises:
        CallerError: a value that cannot be; the message names the field.
    """
    try:
        read = _DECODER.decode(provider)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CallerError(f"provider: {error}") from error
    if read is None:
        return Wishes()
    sort, partition = read.sort, None
    if isinstance(sort, _SortBy):
        sort, partition = sort.by, sort.partition
    return Wishes(
        order=tuple(_slug(slug) for slug in read.order or ()),
        only=frozenset(_slug(slug) for slug in read.only or ()),
        ignore=frozenset(_slug(slug) for slug in read.ignore or ()),
        allow_fallbacks=read.allow_fallbacks is not False,
        require_parameters=read.require_parameters is True,
        deny_data_collection=read.data_collection == "deny",
        zdr=read.zdr is True,
        quantizations=frozenset(read.quantizations or ()),
        distillable=read.enforce_distillable_text is True,
        sort=_measured(sort),
        mix_models=partition == "none",
        max_price=_prices(read.max_price or {}),
        min_throughput=_cutoffs(read.preferred_min_throughput),
        max_latency_s=_cutoffs(read.preferred_max_latency),
    )


def split_suffix(model: str) -> tuple[str, Sort | None]:
    """Split `author/name:nitro` into the model and the sort its suffix asks for."""
    name, colon, suffix = model.rpartition(":")
    sort = SUFFIXES.get(suffix)
    return (name, sort) if colon and sort is not None else (model, None)


def with_suffix(wishes: Wishes, sort: Sort | None) -> Wishes:
    """Add the suffix's sort; what the request says itself wins."""
    return wishes if sort is None or wishes.sort is not None else replace(wishes, sort=sort)


def _measured(sort: Sort | Literal["exacto"] | None) -> Sort | None:
    if sort == "exacto":
        raise CallerError(
            "provider.sort: 'exacto' ranks by the quality of tool calls, which is not measured "
            "here; use price, throughput or latency"
        )
    return sort


def _slug(text: str) -> str:
    return text.strip().lower()


def _prices(written: Mapping[str, str | float | None]) -> dict[str, Decimal]:
    prices: dict[str, Decimal] = {}
    for part, value in written.items():
        if part not in PRICE_PARTS:
            known = ", ".join(PRICE_PARTS)
            raise CallerError(f"provider.max_price: {part[:50]!r} is no price; use {known}")
        if value is None:
            continue
        try:
            price = Decimal(str(value))
        except InvalidOperation as error:
            raise CallerError(f"provider.max_price.{part}: is not a number") from error
        if not price.is_finite() or price < 0:
            raise CallerError(f"provider.max_price.{part}: must be 0 or more")
        prices[part] = price
    return prices


def _cutoffs(written: float | _Cutoffs | None) -> dict[int, float]:
    if written is None:
        return {}
    if isinstance(written, _Cutoffs):
        given = {50: written.p50, 75: written.p75, 90: written.p90, 99: written.p99}
        return {percent: value for percent, value in given.items() if value is not None}
    return {50: written}
