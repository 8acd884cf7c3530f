"""GET /activity: OpenRouter's report by day, model and endpoint, and by end user too."""

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from regulars.http import query
from regulars.http.api import Api, Handler, json_array, json_response
from regulars.http.auth import require_management
from regulars.http.report_json import FILTERS, cell, conditions, zone
from regulars.model.caller import ApiKey
from regulars.model.errors import CallerError
from regulars.reports.definitions import DIMENSIONS
from regulars.reports.schema import TIME, Order, ReportQuery, Window
from regulars.reports.windows import label, zone_named

COMPLETED_DAYS: Final = 30
ROWS_MAX: Final = 100_000
ALWAYS_US: Final = 253_370_764_800_000_000
"""The year 9999: reports reach no further."""

PARAMS: Final = FILTERS | {"date", "user_id", "group_by", "time_zone", "workspace_id"}
_WORKSPACE: Final = "workspace"
_GROUPED: Final = ("model", "provider", "endpoint")
GROUPS: Final = (*(name for name in DIMENSIONS if name not in _GROUPED), _WORKSPACE)
_FIELDS: Final = {
    "usage": "cost",
    "byok_usage_inference": "byok_cost",
    "requests": "requests",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "cached_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "failed_requests": "failed_requests",
    "unpriced_requests": "unpriced_requests",
    "cache_saving": "cache_saving",
}
"""An item's figures, OpenRouter's names first, and the metrics they are."""


def get_activity(api: Api) -> Handler:
    """`GET /activity` (management key).

    The last 30 completed days, as OpenRouter answers; `date`, `from`, `to`, `user` or
    `group_by` (`user`, `session`, `key`, …) ask for more than OpenRouter has, and include
    today. Days are those of UTC, or of `time_zone`. All is one workspace here, so `workspace_id` and `group_by=workspace` change nothing.
    """

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        query.only(request.query_params, PARAMS)
        params = _with_user(request.query_params)
        groups = _groups(query.text(params, "group_by"))
        place = zone(params)
        dimensions = (*_GROUPED, *(name for name in groups if name != _WORKSPACE))
        asked = ReportQuery(
            account=key.account,
            metrics=tuple(_FIELDS.values()),
            dimensions=dimensions,
            where=conditions(params, api.catalog),
            window=_window(api, params, groups, zone_named(place)),
            step="day",
            zone=place,
            order=(Order(TIME), Order("cost"), Order("requests")),
            limit=ROWS_MAX,
        )
        return json_response({"data": await api.turns.run(_items, api, asked, groups)})

    return handle


def _items(api: Api, asked: ReportQuery, groups: tuple[str, ...]) -> msgspec.Raw:
    result = api.reports.run(asked)
    if result.cut is not None:
        raise CallerError(
            f"this answer has over {ROWS_MAX} rows; narrow it by date, from, to, user or model"
        )
    rows = (dict(zip(result.columns, row, strict=True)) for row in result.rows)
    place = zone_named(asked.zone)
    return json_array([_item(row, groups, place) for row in rows])


def _with_user(params: Mapping[str, str]) -> dict[str, str]:
    """Read `user_id` as `user`: accounts have no members here who could be meant."""
    found = dict(params)
    user_id = found.pop("user_id", None)
    if user_id is None:
        return found
    if found.setdefault("user", user_id) != user_id:
        raise CallerError("user_id: is not the same as user; send one of them")
    return found


def _groups(group_by: str | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys((group_by or "").split(","))) if group_by else ()
    for name in names:
        if name not in GROUPS:
            raise CallerError(
                f"group_by: {name[:40]!r} is not known; known: {', '.join(GROUPS)}, "
                "or several with commas between"
            )
    if len(names) > 3:
        raise CallerError(f"group_by: {len(names)} are more than 3; ask for fewer at once")
    return names


def _window(
    api: Api, params: Mapping[str, str], groups: tuple[str, ...], place: ZoneInfo
) -> Window:
    span = query.day(params, "date", place) or query.span(params, zone=place)
    if span.from_us is None and span.to_us is None:
        span = query.completed_days(api.now(), count=COMPLETED_DAYS, zone=place)
        if "user" in params or set(groups) - {_WORKSPACE}:
            span = query.Span(span.from_us, None)
    return Window(
        span.from_us if span.from_us is not None else 0,
        span.to_us if span.to_us is not None else ALWAYS_US,
    )


def _item(row: dict[str, Any], groups: tuple[str, ...], place: ZoneInfo) -> dict[str, Any]:
    figures = {field: cell(metric, row[metric]) for field, metric in _FIELDS.items()}
    item = {
        "date": label(row[TIME], "day", place),
        "model": row["model"],
        "model_permaslug": row["model"],
        "endpoint_id": row["endpoint"] or "",
        "provider_name": row["provider"] or "",
        **figures,
    }
    for name in groups:
        if name == _WORKSPACE:
            item["workspace_id"] = None
        else:
            item["api_key_hash" if name == "key" else name] = row[name]
    return item
