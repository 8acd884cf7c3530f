"""/analytics/meta and /analytics/query: any report, under OpenRouter's names and our own."""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_array, json_response
from regulars.http.auth import require_management
from regulars.http.body import read_small_body
from regulars.http.report_json import cell
from regulars.identity.name import USER_LENGTH_MAX, accept_name
from regulars.model.caller import ApiKey
from regulars.model.errors import CallerError
from regulars.reports.definitions import (
    DIMENSION_NAMES,
    DIMENSIONS,
    METRIC_NAMES,
    METRICS,
    OPERATORS,
    OPERATORS_BY_NAME,
    STEPS,
    STEPS_BY_NAME,
)
from regulars.reports.schema import (
    TIME,
    Condition,
    Metric,
    Order,
    ReportQuery,
    ReportResult,
    Step,
    Unit,
    Value,
    Window,
)
from regulars.reports.windows import label, zone_named

LIMIT_DEFAULT: Final = 1000
LIMIT_MOST: Final = 10_000
DAYS_DEFAULT: Final = 7
DATE: Final = "date"
_DAY_US: Final = 86_400_000_000
_FORMATS: Final[dict[Unit, str]] = {
    "nanousd": "currency",
    "share": "percent",
    "ms": "latency",
    "tokens/s": "throughput",
}

Named = TypeVar("Named")


class AskedFilter(msgspec.Struct, forbid_unknown_fields=True):
    """One condition."""

    field: str
    operator: str
    value: str | float | bool | list[str | float | bool | None] | None
    include_unset: bool | None = None


class AskedOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What rows are sorted by."""

    field: str
    direction: str


class AskedRange(msgspec.Struct, forbid_unknown_fields=True):
    """A half-open range of ISO times."""

    start: str
    end: str


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a query; `time_zone`, an IANA name, is ours."""

    metrics: list[str]
    dimensions: list[str] = []
    filters: list[AskedFilter] = []
    granularity: str | None = None
    time_range: AskedRange | None = None
    order_by: AskedOrder | None = None
    limit: int = LIMIT_DEFAULT
    group_limit: int | None = None
    time_zone: str = "UTC"


_DECODER: Final = msgspec.json.Decoder(Asked)


def get_meta(_api: Api) -> Handler:
    """`GET /analytics/meta`: what a query may ask for."""
    meta = {
        "metrics": [
            {
                "name": name,
                "display_label": each.label,
                "is_rate": each.is_rate,
                "display_format": _FORMATS.get(each.unit, "number"),
                "unit": "usd" if each.unit == "nanousd" else each.unit,
                "description": each.help,
            }
            for each in METRICS.values()
            for name in _names(each)
        ],
        "dimensions": [
            {
                "name": each.openrouter or each.name,
                "display_label": each.label,
                "description": each.help,
            }
            for each in DIMENSIONS.values()
        ],
        "operators": [
            {"name": name, "value_type": "array" if name in ("in", "not_in") else "scalar"}
            for name in OPERATORS
        ],
        "granularities": [{"name": step, "display_label": step.capitalize()} for step in STEPS],
    }

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, frozenset())
        return json_response({"data": meta})

    return handle


def _names(metric: Metric) -> tuple[str, ...]:
    return metric.openrouter or (metric.name,)


def post_query(api: Api) -> Handler:
    """`POST /analytics/query` (management key). Rows come under the names they were asked by."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, frozenset())
        asked = _decoded(await read_small_body(request))
        wanted = _query(api, key, asked)
        began = perf_counter()
        result, count, rows = await api.turns.run(_answer, api, wanted, asked)
        return json_response(
            {
                "data": {
                    "data": rows,
                    "metadata": {
                        "row_count": count,
                        "query_time_ms": round((perf_counter() - began) * 1000, 3),
                        "truncated": result.cut is not None or count < len(result.rows),
                        "cut": result.cut,
                    },
                }
            }
        )

    return handle


def _answer(api: Api, wanted: ReportQuery, asked: Asked) -> tuple[ReportResult, int, msgspec.Raw]:
    result = api.reports.run(wanted)
    rows = _rows(result, asked)
    return result, len(rows), json_array(rows)


def _decoded(body: bytes) -> Asked:
    try:
        asked = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CallerError(f"body: {exc}") from exc
    if not 1 <= asked.limit <= LIMIT_MOST:
        raise CallerError(f"limit: {asked.limit} is not a whole number from 1 to {LIMIT_MOST}")
    if asked.group_limit is not None and asked.group_limit < 1:
        raise CallerError(f"group_limit: {asked.group_limit} is not a whole number from 1")
    return asked


def _query(api: Api, key: ApiKey, asked: Asked) -> ReportQuery:
    metrics = tuple(_named(name, METRIC_NAMES, "metrics") for name in asked.metrics)
    order = _order(asked)
    # `request_count` may be sorted by without being asked for.
    hidden = [one.name for one in order if one.name == "requests" and one.name not in metrics]
    return ReportQuery(
        account=key.account,
        metrics=(*dict.fromkeys(metrics), *hidden),
        dimensions=tuple(_named(name, DIMENSION_NAMES, "dimensions") for name in asked.dimensions),
        where=tuple(_condition(api, each) for each in asked.filters),
        window=_window(api, asked.time_range),
        step=_step(asked),
        zone=asked.time_zone,
        order=order,
        limit=asked.limit,
    )


def _order(asked: Asked) -> tuple[Order, ...]:
    if asked.order_by is None:
        return ()
    field, direction = asked.order_by.field, asked.order_by.direction
    falls = _named(direction, {"asc": False, "desc": True}, "order_by.direction")
    known = {**METRIC_NAMES, **DIMENSION_NAMES, DATE: TIME}
    return (Order(_named(field, known, "order_by"), descending=falls),)


def _step(asked: Asked) -> Step | None:
    if asked.granularity is None:
        return None
    return _named(asked.granularity, STEPS_BY_NAME, "granularity")


def _named(name: str, known: Mapping[str, Named], what: str) -> Named:
    if name not in known:
        raise CallerError(f"{what}: {name[:50]!r} is not known; known: {', '.join(known)}")
    return known[name]


def _condition(api: Api, asked: AskedFilter) -> Condition:
    dimension = _named(asked.field, DIMENSION_NAMES, "filters")
    operator = _named(asked.operator, OPERATORS_BY_NAME, "filters: operator")
    many = isinstance(asked.value, list)
    if many != (operator in ("in", "not_in")):
        kind = "an array" if operator in ("in", "not_in") else "one value"
        raise CallerError(f"filters: {operator} of {asked.field[:50]!r} takes {kind}")
    given = asked.value if isinstance(asked.value, list) else [asked.value]
    plain = operator == "contains"
    values = [_value(api, dimension, each, plain=plain) for each in given]
    if operator in ("in", "not_in") and (operator == "in") == bool(asked.include_unset):
        # Groups without a value are in neither answer unless asked for.
        values.append(None)
    return Condition(dimension, operator, tuple(values))


def _value(api: Api, dimension: str, value: str | float | None, *, plain: bool) -> Value:
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str):
        value = f"{value:.0f}" if float(value).is_integer() else str(value)
    if plain:
        return value
    readers: dict[str, Callable[[str], Value]] = {
        "user": lambda name: accept_name(name, field="filters", length_max=USER_LENGTH_MAX),
        "provider": api.catalog.provider_name,
        "streamed": lambda name: {"true": True, "false": False}.get(name.lower(), name),
    }
    read = readers.get(dimension)
    return value if read is None else read(value)


def _window(api: Api, asked: AskedRange | None) -> Window:
    if asked is None:
        now_us = int(api.now().timestamp() * 1_000_000)
        return Window(now_us - DAYS_DEFAULT * _DAY_US, now_us)
    span = query.span({"from": asked.start, "to": asked.end})
    return Window(span.from_us, span.to_us)


def _rows(result: ReportResult, asked: Asked) -> list[dict[str, Any]]:
    zone = zone_named(asked.time_zone)
    step = _step(asked)
    counts: dict[tuple[Any, ...], int] = {}
    rows: list[dict[str, Any]] = []
    for cells in result.rows:
        row = dict(zip(result.columns, cells, strict=True))
        group = tuple(row[DIMENSION_NAMES[name]] for name in asked.dimensions)
        counts[group] = counts.get(group, 0) + 1
        if asked.dimensions and asked.group_limit and counts[group] > asked.group_limit:
            continue
        item: dict[str, Any] = {}
        if step is not None:
            begin = row[TIME]
            assert isinstance(begin, int), "a bucket's begin"
            item[f"date__{step}"] = label(begin, step, zone)
        item |= dict(zip(asked.dimensions, group, strict=True))
        item |= {name: cell(METRIC_NAMES[name], row[METRIC_NAMES[name]]) for name in asked.metrics}
        rows.append(item)
    return rows
