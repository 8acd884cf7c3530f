"""PDF, by Typst (the `pdf` extra): a report for people, one page of summary, then the tables.

All texts reach the document as data of a JSON file, never as markup, so no id can change it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, assert_never

import msgspec

from regulars.exports.clock import clock
from regulars.exports.missing import needs
from regulars.exports.summary import Breakdown, Figures, Line, Summary, summary
from regulars.exports.table import About
from regulars.model.money import NANOUSD_PER_USD
from regulars.reports.definitions import DIMENSIONS, METRICS
from regulars.reports.schema import Cell, Metric, Step, Unit
from regulars.reports.windows import zone_named
from regulars.stores.base import Reports

if TYPE_CHECKING:
    from regulars.exports.export import ExportQuery

NAME_CHARS_MAX: Final = 90
BREAK_EVERY_CHARS: Final = 10
NOBODY: Final = "(none named)"
UNKNOWN: Final = "\N{EN DASH}"
BETWEEN: Final = " \N{MIDDLE DOT} "
"""Between the values of a group of several dimensions."""
_SHORTER: Final = {
    "prompt_tokens": "Prompt",
    "cached_share": "Cached",
    "completion_tokens": "Completion",
}
"""The usual columns have room for less than the whole label."""
_TEMPLATE: Final = "report.typ"
_TIME_WORDS: Final[dict[Step, str]] = {
    "minute": "%H:%M",
    "hour": "%d %b %H:%M",
    "day": "%d %b",
    "week": "%d %b",
    "month": "%b %Y",
}


def pdf_file(reports: Reports, query: "ExportQuery") -> bytes:
    """Make the file.

    Raises:
        ExportError: Typst is not installed.
        StoreError: the store cannot answer.
    """
    with needs("pdf", "typst"):
        import typst  # noqa: PLC0415 - an optional package
    document = pdf_document(reports, query)
    template = files("regulars.exports").joinpath(_TEMPLATE).read_bytes()
    with TemporaryDirectory(prefix="regulars-") as name:
        folder = Path(name)
        (folder / _TEMPLATE).write_bytes(template)
        (folder / "report.json").write_bytes(msgspec.json.encode(document))
        made: Any = typst.compile(str(folder / _TEMPLATE), root=name, format="pdf")
    assert isinstance(made, bytes), "one PDF was asked for"
    return made


def pdf_document(reports: Reports, query: "ExportQuery") -> dict[str, Any]:
    """Return all that the file shows, as texts.

    Raises StoreError.
    """
    report = query.report
    found = (
        summary(reports, query.where, zone=query.zone)
        if report is None
        else summary(
            reports,
            query.where,
            zone=query.zone,
            group_by=report.dimensions,
            metrics=report.metrics,
        )
    )
    return _document(found, query.about())


def _document(found: Summary, about: About) -> dict[str, Any]:
    write = clock(about.zone)
    sums = {name: value or 0 for name, value in found.totals.items()}
    cells = _Cells(found.metrics, write)
    first, *_ = found.breakdowns
    return {
        "title": about.title,
        "made_at": f"{write(about.made_at_us)[:19]} ({about.zone})",
        "zone": about.zone,
        "filters": [[name, _short(value)] for name, value in about.filters],
        "cards": [
            ["Cost", f"{_money(sums['cost'])} USD"],
            ["Requests", _count(sums["requests"])],
            ["End users", _count(sums["users"])],
            ["Tokens", _count(sums["prompt_tokens"] + sums["completion_tokens"])],
            ["Read from cache", _share(sums["cached_tokens"], sums["prompt_tokens"])],
            ["Saved by caching", f"{_money(sums['cache_saving'])} USD"],
        ],
        "unpriced": _count(sums["unpriced_requests"]) if sums["unpriced_requests"] else None,
        "step": found.step,
        "course": _bars(found, about.zone),
        "greatest": "Users with the greatest cost"
        if first.dimensions == ("user",)
        else f"The greatest cost by {_small(_titled(first))}",
        "bars": _bars_of(first),
        "tables": [_table(each, cells, found.totals) for each in found.breakdowns],
    }


def _bars(found: Summary, zone: str) -> list[dict[str, Any]]:
    where, words = zone_named(zone), _TIME_WORDS[found.step]
    most = max((_cost(line) for line in found.course), default=0)
    bars: list[dict[str, Any]] = []
    for line in found.course:
        (at_us,) = line.names
        assert isinstance(at_us, int), "a step's begin"
        bars.append(
            {
                "label": f"{datetime.fromtimestamp(at_us / 1_000_000, where):{words}}",
                "share": _cost(line) / most if most else 0.0,
                "cost": _money(_cost(line)),
            }
        )
    return bars


def _bars_of(found: Breakdown, *, count: int = 10) -> list[dict[str, Any]]:
    most = max((_cost(line) for line in found.shown), default=0)
    return [
        {
            "label": _short(_plain(line), chars_max=28),
            "share": _cost(line) / most if most else 0.0,
            "cost": _money(_cost(line)),
        }
        for line in found.shown[:count]
    ]


def _cost(line: Line) -> float:
    return line.figures["cost"] or 0


def _titled(found: Breakdown) -> str:
    first, *others = (DIMENSIONS[name].label for name in found.dimensions)
    return ", ".join([first, *map(_small, others)])


def _small(label: str) -> str:
    """Write a label as within a sentence; an abbreviation keeps its capitals."""
    return label if label[1].isupper() else f"{label[0].lower()}{label[1:]}"


def _plain(line: Line) -> str:
    return BETWEEN.join(_in_words(value) for value in line.names)


def _in_words(value: Cell) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOBODY if value is None or value == "" else str(value)


def _table(found: Breakdown, cells: "_Cells", totals: Figures) -> dict[str, Any]:
    rows = [cells.of(_short(_plain(line)), line.figures) for line in found.shown]
    if found.rest is not None:
        rows.append(cells.of("all others", found.rest))
    title = _titled(found)
    return {
        "title": f"By {_small(title)}",
        "header": [title, *cells.header],
        "rows": rows,
        "total": cells.of("Total", totals),
    }


@dataclass(frozen=True, slots=True)
class _Cells:
    """How the figures of a line are written; `write` writes moments."""

    metrics: tuple[str, ...]
    write: Callable[[int], str]

    @property
    def header(self) -> list[str]:
        return [_SHORTER.get(name) or _labelled(METRICS[name]) for name in self.metrics]

    def of(self, name: str, figures: Figures) -> list[str]:
        return [name, *(self._cell(METRICS[each].unit, figures[each]) for each in self.metrics)]

    def _cell(self, unit: Unit, value: float | None) -> str:
        if value is None:
            return UNKNOWN
        match unit:
            case "nanousd":
                return _money(value)
            case "share":
                return f"{value:.1%}"
            case "ms" | "tokens/s":
                return f"{value:,.1f}"
            case "us":
                return self.write(int(value))[:16]
            case "requests" | "users" | "sessions" | "tokens":
                return _count(value)
            case _:
                assert_never(unit)


def _labelled(metric: Metric) -> str:
    in_words = {"nanousd": "USD", "ms": "ms"}
    unit = in_words.get(metric.unit)
    return metric.label if unit is None else f"{metric.label} ({unit})"


def _short(text: str, *, chars_max: int = NAME_CHARS_MAX) -> str:
    plain = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    cut = plain if len(plain) <= chars_max else f"{plain[: chars_max - 1]}…"
    # A long word may be broken anywhere, or it would run over the next column.
    return "\N{ZERO WIDTH SPACE}".join(
        cut[at : at + BREAK_EVERY_CHARS] for at in range(0, len(cut), BREAK_EVERY_CHARS)
    )


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _money(nanousd: float) -> str:
    """Write USD to six places, as rows and total do alike: a sum of rows shows no other digits."""
    whole, nanos = divmod(abs(int(nanousd)), NANOUSD_PER_USD)
    micros = math.floor(nanos / 1000 + 0.5)
    whole, micros = whole + micros // 1_000_000, micros % 1_000_000
    return f"{'-' if nanousd < 0 else ''}{whole:,}.{micros:06d}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else UNKNOWN
