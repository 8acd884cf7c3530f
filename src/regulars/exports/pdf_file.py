"""PDF, by Typst (the `pdf` extra): a report for people, one page of summary, then the tables.

All texts reach the document as data of a JSON file, never as markup, so no id can change it.
"""

import math
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import msgspec

from regulars.exports.clock import clock
from regulars.exports.missing import needs
from regulars.exports.summary import Breakdown, Summary, summary
from regulars.exports.table import About
from regulars.model.money import NANOUSD_PER_USD
from regulars.reports.schema import Step
from regulars.reports.windows import zone_named
from regulars.stores.base import Filter, Reports

NAME_CHARS_MAX: Final = 90
BREAK_EVERY_CHARS: Final = 10
NOBODY: Final = "(none named)"
_TEMPLATE: Final = "report.typ"
_TIME_WORDS: Final[dict[Step, str]] = {
    "minute": "%H:%M",
    "hour": "%d %b %H:%M",
    "day": "%d %b",
    "week": "%d %b",
    "month": "%b %Y",
}


def pdf_file(reports: Reports, where: Filter, about: About) -> bytes:
    """Make the file.

    Raises:
        ExportError: Typst is not installed.
        StoreError: the store cannot answer.
    """
    with needs("pdf", "typst"):
        import typst  # noqa: PLC0415 - an optional package
    found = summary(reports, where, zone=about.zone)
    template = files("regulars.exports").joinpath(_TEMPLATE).read_bytes()
    with TemporaryDirectory(prefix="regulars-") as name:
        folder = Path(name)
        (folder / _TEMPLATE).write_bytes(template)
        (folder / "report.json").write_bytes(msgspec.json.encode(_document(found, about)))
        made: Any = typst.compile(str(folder / _TEMPLATE), root=name, format="pdf")
    assert isinstance(made, bytes), "one PDF was asked for"
    return made


def _document(found: Summary, about: About) -> dict[str, Any]:
    write = clock(about.zone)
    totals = found.totals
    return {
        "title": about.title,
        "made_at": f"{write(about.made_at_us)[:19]} ({about.zone})",
        "zone": about.zone,
        "filters": [[name, _short(value)] for name, value in about.filters],
        "cards": [
            ["Cost", f"{_money(totals['cost'])} USD"],
            ["Requests", _count(totals["requests"])],
            ["End users", _count(totals["users"])],
            ["Tokens", _count(totals["prompt_tokens"] + totals["completion_tokens"])],
            ["Read from cache", _share(totals["cached_tokens"], totals["prompt_tokens"])],
            ["Saved by caching", f"{_money(totals['cache_saving'])} USD"],
        ],
        "unpriced": _count(totals["unpriced_requests"]) if totals["unpriced_requests"] else None,
        "step": found.step,
        "course": _bars(found, about.zone),
        "users": _bars_of(found.by_user),
        "tables": [
            _table("By end user", "End user", found.by_user, totals),
            _table("By model", "Model", found.by_model, totals),
            _table("By provider", "Provider", found.by_provider, totals),
        ],
    }


def _bars(found: Summary, zone: str) -> list[dict[str, Any]]:
    where, words = zone_named(zone), _TIME_WORDS[found.step]
    most = max((line.figures["cost"] for line in found.course), default=0)
    return [
        {
            "label": f"{datetime.fromtimestamp(line.name / 1_000_000, where):{words}}",
            "share": line.figures["cost"] / most if most else 0.0,
            "cost": _money(line.figures["cost"]),
        }
        for line in found.course
    ]


def _bars_of(found: Breakdown, *, count: int = 10) -> list[dict[str, Any]]:
    most = max((line.figures["cost"] for line in found.shown), default=0)
    return [
        {
            "label": _short(line.name or NOBODY, chars_max=28),
            "share": line.figures["cost"] / most if most else 0.0,
            "cost": _money(line.figures["cost"]),
        }
        for line in found.shown[:count]
    ]


def _table(title: str, name: str, found: Breakdown, totals: dict[str, int]) -> dict[str, Any]:
    rows = [_cells(_short(line.name or NOBODY), line.figures) for line in found.shown]
    if found.rest is not None:
        rows.append(_cells("all others", found.rest.figures))
    return {
        "title": title,
        "header": [name, "Requests", "Failed", "Prompt", "Cached", "Completion", "Cost (USD)"],
        "rows": rows,
        "total": _cells("Total", totals),
    }


def _cells(name: str, figures: dict[str, int]) -> list[str]:
    return [
        name,
        _count(figures["requests"]),
        _count(figures["failed_requests"]),
        _count(figures["prompt_tokens"]),
        _share(figures["cached_tokens"], figures["prompt_tokens"]),
        _count(figures["completion_tokens"]),
        _money(figures["cost"]),
    ]


def _short(text: str, *, chars_max: int = NAME_CHARS_MAX) -> str:
    plain = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    cut = plain if len(plain) <= chars_max else f"{plain[: chars_max - 1]}…"
    # A long word may be broken anywhere, or it would run over the next column.
    return "\N{ZERO WIDTH SPACE}".join(
        cut[at : at + BREAK_EVERY_CHARS] for at in range(0, len(cut), BREAK_EVERY_CHARS)
    )


def _count(value: int) -> str:
    return f"{value:,}"


def _money(nanousd: int) -> str:
    """Write USD to six places, as rows and total do alike: a sum of rows shows no other digits."""
    whole, nanos = divmod(abs(nanousd), NANOUSD_PER_USD)
    micros = math.floor(nanos / 1000 + 0.5)
    whole, micros = whole + micros // 1_000_000, micros % 1_000_000
    return f"{'-' if nanousd < 0 else ''}{whole:,}.{micros:06d}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "\N{EN DASH}"
