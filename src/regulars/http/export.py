"""GET /activity/export: every request, or any report, as a file that is streamed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response

from regulars.exports.aggregated import conditions
from regulars.exports.export import FORMATS, ExportQuery, check_pdf, usual_metrics
from regulars.http import query
from regulars.http.api import Api, Handler
from regulars.http.auth import require_management
from regulars.model.caller import ApiKey
from regulars.model.catalog import Catalog
from regulars.model.errors import CallerError
from regulars.reports.definitions import check
from regulars.reports.schema import (
    LIMIT_MAX,
    SOMEBODY,
    Order,
    ReportError,
    ReportQuery,
    Step,
    Window,
)
from regulars.reports.windows import zone_named
from regulars.stores.base import Filter

_FILTERS: Final = frozenset({"from", "to", "user", "model", "provider", "api_key_hash"})
_GROUPS: Final = frozenset({"group_by", "metrics", "granularity"})
_REPORT: Final = _GROUPS | {"order_by", "limit", "named"}
_OF_A_PDF: Final = frozenset({"group_by", "metrics"})
PARAMS: Final = _FILTERS | _REPORT | {"format", "time_zone", "bare"}


def get_export(api: Api) -> Handler:
    """`GET /activity/export` (management key): all that the filters select, in one file."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        wanted = read_export(
            request.query_params, account=key.account, catalog=api.catalog, now=api.now()
        )
        return await api.downloads.send(wanted)

    return handle


def read_export(
    params: Mapping[str, str], *, account: str, catalog: Catalog, now: datetime
) -> ExportQuery:
    """Read what to export; without an end it ends now.

    Raises:
        CallerError: names what was wrong and the fix.
    """
    query.only(params, PARAMS)
    format_ = query.text(params, "format") or "csv"
    if format_ not in FORMATS:
        raise CallerError(f"format: {format_[:40]!r} is not known; known: {', '.join(FORMATS)}")
    zone = query.text(params, "time_zone") or "UTC"
    try:
        span = query.span(params, zone=zone_named(zone))
    except ValueError as exc:
        raise CallerError(str(exc)) from exc
    now_us = query.microseconds(now)
    where = Filter(
        account=account,
        user=query.user(params),
        model=query.text(params, "model"),
        provider=query.provider(params, catalog),
        key_hash=query.text(params, "api_key_hash"),
        from_us=span.from_us,
        to_us=now_us if span.to_us is None else span.to_us,
    )
    return ExportQuery(
        format=format_,
        where=where,
        now_us=now_us,
        report=_report(params, where, zone),
        zone=zone,
        bare=query.flag(params, "bare"),
    )


def _report(params: Mapping[str, str], where: Filter, zone: str) -> ReportQuery | None:
    asked = sorted(name for name in _REPORT if name in params)
    if not asked:
        return None
    if not any(name in _GROUPS for name in asked):
        raise CallerError(
            f"{asked[0]}: is of reports; send group_by, metrics or granularity with it, "
            "or leave it out for every request"
        )
    is_pdf = query.text(params, "format") == "pdf"
    metrics = _names(params, "metrics") or usual_metrics("pdf" if is_pdf else "csv")
    order = query.text(params, "order_by")
    wanted = ReportQuery(
        account=where.account,
        metrics=metrics,
        dimensions=_names(params, "group_by"),
        where=(*conditions(where), *((SOMEBODY,) if query.flag(params, "named") else ())),
        window=Window(where.from_us, where.to_us),
        step=cast("Step | None", query.text(params, "granularity")),
        zone=zone,
        order=() if order is None else (Order(order),),
        limit=query.limit(params, default=LIMIT_MAX, most=LIMIT_MAX),
    )
    try:
        check(wanted)
        if is_pdf:
            _check_pdf(asked)
            check_pdf(wanted)
    except ReportError as exc:
        raise CallerError(str(exc)) from exc
    return wanted


def _check_pdf(asked: Sequence[str]) -> None:
    others = [name for name in asked if name not in _OF_A_PDF]
    if others:
        raise CallerError(
            f"{others[0]}: a PDF has tables of its own; "
            "leave it out, or ask for csv, jsonl or parquet"
        )


def _names(params: Mapping[str, str], name: str) -> tuple[str, ...]:
    value = query.text(params, name)
    return () if value is None else tuple(part.strip() for part in value.split(","))
