"""Files of exactly what a page shows: its stretch of time, its filters, its chart's groups."""

from dataclasses import dataclass, replace
from typing import Final, cast

from starlette.requests import Request
from starlette.responses import Response

from regulars.exports.aggregated import DEFAULT_METRICS
from regulars.exports.export import FORMATS, ExportQuery, Format
from regulars.reports.schema import LIMIT_MAX
from regulars.web.access import Viewer
from regulars.web.figures import question
from regulars.web.site import Site
from regulars.web.view import View, parse

PATH: Final = "/activity/export"
FORMAT_WORDS: Final[dict[Format, str]] = {
    "csv": "CSV",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
    "pdf": "PDF summary",
}
CHART: Final = "chart"


@dataclass(frozen=True, slots=True)
class ExportLink:
    """One file that can be had; `rows` says what its rows are."""

    words: str
    href: str
    rows: str


def export_links(view: View) -> tuple[ExportLink, ...]:
    """Link to every file of what a view shows."""
    here = view.href(PATH)
    requests = tuple(
        ExportLink(words, f"{here}&format={name}", "requests")
        for name, words in FORMAT_WORDS.items()
    )
    chart = tuple(
        ExportLink(words, f"{here}&format={name}&rows={CHART}", CHART)
        for name, words in FORMAT_WORDS.items()
        if name != "pdf"
    )
    return requests + chart


async def export(site: Site, request: Request, viewer: Viewer) -> Response:
    """Stream a file. It changes nothing, so the session is enough."""
    format_ = request.query_params.get("format", "csv")
    if format_ not in FORMATS:
        known = ", ".join(FORMATS)
        return site.problem(400, f"There is no such format. Known: {known}.", viewer=viewer)
    view = parse(request.query_params)
    as_chart = request.query_params.get("rows") == CHART
    return await site.deps.export(wanted(site, view, format_, as_chart=as_chart))


def wanted(site: Site, view: View, format_: str, *, as_chart: bool) -> ExportQuery:
    """Say what to export: every request of a view, or its chart's figures."""
    window = view.window(site.now_us)
    where = view.where(site.deps.account, window)
    # Rows that come meanwhile are not what was seen.
    where = replace(where, to_us=min(window.to_us, site.now_us))
    report = replace(
        question(where, view.group, metrics=DEFAULT_METRICS),
        step=window.step,
        zone=window.zone.key,
        limit=LIMIT_MAX,
    )
    return ExportQuery(
        format=cast("Format", format_),
        where=where,
        now_us=site.now_us,
        report=report if as_chart else None,
        zone=window.zone.key,
    )
