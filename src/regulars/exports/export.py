"""One export: a question and a format become pieces of a file. API, pages, CLI and schedules ask here."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Protocol, get_args

from regulars.exports.aggregated import DEFAULT_METRICS, report_columns, report_pages
from regulars.exports.clock import clock
from regulars.exports.csv_file import csv_pieces
from regulars.exports.jsonl_file import jsonl_pieces
from regulars.exports.requests import request_columns, request_pages
from regulars.exports.summary import USUAL_METRICS
from regulars.exports.table import About, Column, Page, Table
from regulars.reports.schema import SOMEBODY, ReportError, ReportQuery
from regulars.stores.base import Filter, Keys, Reports
from regulars.stores.scans import Scans

Format = Literal["csv", "jsonl", "parquet", "pdf"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
PDF_METRICS_MAX: Final = 6
"""Figures that a page has room for beside a group's name."""
MEDIA_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
}


class Source(Reports, Scans, Keys, Protocol):
    """What exports are made from: a store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportQuery:
    """What to export. `report` None: every request; else the rows of that report.

    `where` has an end, or rows that come meanwhile could slip in. `bare`: without words about
    the file itself, for readers that know only the columns.
    """

    format: Format
    where: Filter
    now_us: int
    report: ReportQuery | None = None
    zone: str = "UTC"
    bare: bool = False
    title: str = "Activity"

    @property
    def file_name(self) -> str:
        """Name the file as OpenRouter does, by the day it was made."""
        day = datetime.fromtimestamp(self.now_us / 1_000_000, UTC)
        kind = "activity" if self.report is None else "report"
        return f"regulars_{kind}_{day:%Y-%m-%d}.{self.format}"

    def about(self) -> About:
        """Say what the file holds."""
        return About(self.title, _filters(self), self.zone, self.now_us)


def export_pieces(source: Source, query: ExportQuery) -> Generator[bytes]:
    """Yield the file's bytes in pieces; close it where it is not read to its end.

    Raises:
        ExportError: the format needs a package that is not installed.
        StoreError: the store cannot be read.
    """
    if query.format == "pdf":
        from regulars.exports.pdf_file import pdf_file  # noqa: PLC0415 - pulls in an optional package

        yield pdf_file(source, query)
        return
    remarks: list[str] = []
    with closing(_pages(source, query, remarks)) as pages:
        yield from _writer(query)(Table(_columns(query), pages, remarks), query.about())


def usual_metrics(format_: Format) -> tuple[str, ...]:
    """Return what a report in this format shows where no figures are asked for."""
    return USUAL_METRICS if format_ == "pdf" else DEFAULT_METRICS


def check_pdf(report: ReportQuery) -> None:
    """Refuse a report that a PDF has no room for. Raises ReportError."""
    count = len(report.metrics)
    if count > PDF_METRICS_MAX:
        raise ReportError(
            f"metrics: a PDF has room for {PDF_METRICS_MAX}; {count} were asked for: "
            "leave some out, or ask for csv, jsonl or parquet"
        )


def _columns(query: ExportQuery) -> tuple[Column, ...]:
    if query.report is not None:
        return report_columns(query.report)
    return request_columns(extra=_extra(query))


def _pages(source: Source, query: ExportQuery, remarks: list[str]) -> Generator[Page]:
    if query.report is not None:
        # A file without words about itself has no place for any.
        yield from report_pages(source, query.report, None if query.bare else remarks)
        return
    keys = {key.hash: key for key in source.list_keys()}
    yield from request_pages(source, query.where, keys, extra=_extra(query))


def _extra(query: ExportQuery) -> bool:
    # The columns of the CSV are OpenRouter's; who reads other formats finds his own by name.
    return query.format != "csv"


def _writer(query: ExportQuery) -> Callable[[Table, About], Iterator[bytes]]:
    match query.format:
        case "csv":
            return lambda table, about: csv_pieces(table, about, bare=query.bare)
        case "jsonl":
            return lambda table, about: jsonl_pieces(table, about, bare=query.bare)
        case _:
            from regulars.exports.parquet_file import parquet_pieces  # noqa: PLC0415 - optional package

            return parquet_pieces


def _filters(query: ExportQuery) -> tuple[tuple[str, str], ...]:
    where, write = query.where, clock(query.zone)
    found = [
        ("from", None if where.from_us is None else write(where.from_us)),
        ("to", None if where.to_us is None else write(where.to_us)),
        ("user", where.user),
        ("model", where.model),
        ("provider", where.provider),
        ("api_key_hash", where.key_hash),
    ]
    report = query.report
    if report is not None and query.format != "pdf":
        found.append(("group_by", ",".join(report.dimensions)))
        found.append(("granularity", report.step))
        found.append(("named", "true" if SOMEBODY in report.where else None))
    return tuple((name, value) for name, value in found if value)
