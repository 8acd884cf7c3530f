"""GET /activity/export: every request, or any report, as a file that is streamed."""

import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from datetime import datetime
from typing import Final, cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from regulars.exports.aggregated import DEFAULT_METRICS, conditions
from regulars.exports.export import (
    FORMATS,
    MEDIA_TYPES,
    ExportQuery,
    Source,
    export_pieces,
)
from regulars.exports.missing import ExportError
from regulars.http import query
from regulars.http.api import Api, Handler
from regulars.http.auth import require_management
from regulars.model.caller import ApiKey
from regulars.model.catalog import Catalog
from regulars.model.errors import CallerError, UnavailableError
from regulars.reports.definitions import check
from regulars.reports.schema import (
    LIMIT_MAX,
    Order,
    ReportError,
    ReportQuery,
    Step,
    Window,
)
from regulars.reports.windows import zone_named
from regulars.stores.base import Filter

EXPORTS_MAX: Final = 2
"""Exports a process makes at once; each is work of many seconds beside the requests'."""
RETRY_AFTER_S: Final = 10.0
SWITCH_S: Final = 0.0005
"""How long an export's thread may keep the interpreter from requests; Python's own 5 ms made their
p99 3 times what it was."""

_FILTERS: Final = frozenset({"from", "to", "user", "model", "provider", "api_key_hash"})
_REPORT: Final = frozenset({"group_by", "metrics", "granularity", "order_by", "limit"})
PARAMS: Final = _FILTERS | _REPORT | {"format", "time_zone", "bare"}


def get_export(api: Api) -> Handler:
    """`GET /activity/export` (management key): all that the filters select, in one file."""
    places = _Places()

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        wanted = read_export(
            request.query_params, account=key.account, catalog=api.catalog, now=api.now()
        )
        if not places.free:
            raise UnavailableError(
                f"{EXPORTS_MAX} exports are already being made; try again shortly",
                retry_after_s=RETRY_AFTER_S,
            )
        places.take()
        download = _Download(export_pieces(cast("Source", api.reports), wanted), places)
        try:
            # What can be refused is refused before the answer begins.
            return await download.response(wanted)
        except BaseException:
            download.end()
            raise

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
        bare=query.text(params, "bare") == "true",
    )


def _report(params: Mapping[str, str], where: Filter, zone: str) -> ReportQuery | None:
    if not any(name in params for name in _REPORT):
        return None
    metrics = _names(params, "metrics") or DEFAULT_METRICS
    order = query.text(params, "order_by")
    wanted = ReportQuery(
        account=where.account,
        metrics=metrics,
        dimensions=_names(params, "group_by"),
        where=conditions(where),
        window=Window(where.from_us, where.to_us),
        step=cast("Step | None", query.text(params, "granularity")),
        zone=zone,
        order=() if order is None else (Order(order),),
        limit=query.limit(params, default=LIMIT_MAX, most=LIMIT_MAX),
    )
    try:
        check(wanted)
    except ReportError as exc:
        raise CallerError(str(exc)) from exc
    return wanted


def _names(params: Mapping[str, str], name: str) -> tuple[str, ...]:
    value = query.text(params, name)
    return () if value is None else tuple(part.strip() for part in value.split(","))


class _Places:
    """The exports under way. Threads take shorter turns while there are any; event loop only."""

    def __init__(self) -> None:
        self._taken = 0
        self._usual_s = sys.getswitchinterval()

    @property
    def free(self) -> bool:
        return self._taken < EXPORTS_MAX

    def take(self) -> None:
        self._taken += 1
        sys.setswitchinterval(SWITCH_S)

    def give_back(self) -> None:
        self._taken -= 1
        if not self._taken:
            sys.setswitchinterval(self._usual_s)


class _Download:
    """Pieces on their way to one client, and the place among the exports that they take."""

    def __init__(self, pieces: Generator[bytes], places: _Places) -> None:
        self._pieces = pieces
        self._places = places

    async def response(self, wanted: ExportQuery) -> Response:
        """Make the first piece and the answer that begins with it."""
        first = await run_in_threadpool(self._next)
        headers = {
            "content-disposition": f'attachment; filename="{wanted.file_name}"',
            "cache-control": "no-store",
        }
        return _DownloadResponse(
            self._stream(first),
            headers=headers,
            media_type=MEDIA_TYPES[wanted.format],
            end=self.end,
        )

    def end(self) -> None:
        """Close what is open; nobody may be making a piece."""
        try:
            self._pieces.close()
        finally:
            self._places.give_back()

    def _next(self) -> bytes | None:
        try:
            return next(self._pieces, None)
        except ExportError as exc:
            raise CallerError(str(exc)) from exc

    async def _stream(self, piece: bytes | None) -> AsyncGenerator[bytes]:
        # An error in here cuts the answer short of its last chunk: no client takes it for whole.
        while piece is not None:
            yield piece
            piece = await run_in_threadpool(self._next)


class _DownloadResponse(StreamingResponse):
    """Tells when it is over, however that came: whole, cut, or the client left."""

    def __init__(
        self,
        content: AsyncGenerator[bytes],
        *,
        headers: Mapping[str, str],
        media_type: str,
        end: Callable[[], None],
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._end = end

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()
