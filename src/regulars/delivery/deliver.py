"""One delivery: the export is made whole first, then moved into its folder or sent."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from regulars.config.settings import ReportSettings
from regulars.delivery.schedule import told_period
from regulars.delivery.webhook import Parcel, send
from regulars.exports.aggregated import conditions
from regulars.exports.export import (
    MEDIA_TYPES,
    ExportQuery,
    Source,
    check_pdf,
    export_pieces,
    usual_metrics,
)
from regulars.reports.definitions import check
from regulars.reports.schema import LIMIT_MAX, ReportQuery, Window
from regulars.stores.base import Filter

ATTEMPTS_OF_A_FOLDER: Final = 1


class StoppedError(Exception):
    """The gateway stops; what was begun is left for another to take over."""


@dataclass(frozen=True, slots=True)
class Means:
    """What deliveries are made with. `pause` waits and tells whether the gateway stops."""

    source: Source
    account: str
    clock: Callable[[], float]
    pause: Callable[[float], bool]


@dataclass(frozen=True, slots=True)
class Done:
    """How large the file was, and how many attempts it took."""

    bytes: int
    attempts: int


def report_query(report: ReportSettings, account: str, due: datetime) -> ExportQuery:
    """Say what a report due then asks; `due` is in its zone."""
    begin, end = told_period(report.period, due)
    where = Filter(
        account,
        user=report.user,
        model=report.model,
        provider=report.provider,
        from_us=_us(begin),
        to_us=_us(end),
    )
    grouped = report.group_by or report.metrics
    return ExportQuery(
        format=report.format,
        where=where,
        now_us=_us(due),
        report=ReportQuery(
            account=account,
            metrics=report.metrics or usual_metrics(report.format),
            dimensions=report.group_by,
            where=conditions(where),
            window=Window(where.from_us, where.to_us),
            zone=report.time_zone,
            limit=LIMIT_MAX,
        )
        if grouped
        else None,
        zone=report.time_zone,
        title=report.name,
    )


def check_report(report: ReportSettings) -> None:
    """Refuse a report whose dimensions or figures nobody knows, or its format has no room for.

    Raises ReportError.
    """
    asked = report_query(report, "", datetime.now(UTC)).report
    if asked is not None:
        check(asked)
        if report.format == "pdf":
            check_pdf(asked)


def deliver(means: Means, report: ReportSettings, due: datetime) -> Done:
    """Make the file of a report and bring it where it belongs.

    Raises StoreError, ExportError, ReportError, WebhookError, OSError, StoppedError.
    """
    query = report_query(report, means.account, due)
    name = f"{report.name}-{due:%Y-%m-%dT%H%M}.{report.format}"
    if report.folder is not None:
        report.folder.mkdir(parents=True, exist_ok=True)
        part = report.folder / f"{name}.part"
        size = _write(means, query, part)
        part.replace(report.folder / name)
        return Done(size, ATTEMPTS_OF_A_FOLDER)
    assert report.webhook is not None, "the schema asks for a folder or a webhook"
    with TemporaryDirectory(prefix="regulars-") as folder:
        file = Path(folder) / name
        size = _write(means, query, file)
        parcel = Parcel(
            file, MEDIA_TYPES[report.format], report.name, f"{report.name}-{_us(due) // 1_000_000}"
        )
        attempts = send(report.webhook, parcel, clock=means.clock, pause=means.pause)
    return Done(size, attempts)


def _write(means: Means, query: ExportQuery, file: Path) -> int:
    with file.open("wb") as out, closing(export_pieces(means.source, query)) as pieces:
        for piece in pieces:
            out.write(piece)
            if means.pause(0):
                raise StoppedError
    return file.stat().st_size


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
