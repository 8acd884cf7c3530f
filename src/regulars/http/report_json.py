"""Reports as JSON: cells under their metrics' units, and what all report routes read alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from regulars.http import query
from regulars.model.catalog import Catalog
from regulars.reports.definitions import METRICS
from regulars.reports.schema import Cell, Condition, ReportResult, Window
from regulars.reports.windows import zone_named
from regulars.wire.views import iso_time, usd

FIGURES: Final = (
    "requests",
    "failed_requests",
    "unpriced_requests",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cost",
    "cache_saving",
    "cached_share",
    "error_share",
    "last_seen",
)
"""What rollups answer: shown of every group."""

FILTERS: Final = frozenset({"user", "model", "provider", "api_key_hash", "from", "to"})


def cell(metric: str, value: Cell) -> Any:
    """Write a metric's value: money as exact USD, moments as ISO times."""
    if value is None:
        return None
    unit = METRICS[metric].unit
    if unit == "nanousd":
        return usd(int(value))
    return iso_time(int(value)) if unit == "us" else value


def items(result: ReportResult) -> list[dict[str, Any]]:
    """Write each row as an object under the columns' names."""
    return [
        {
            name: cell(name, value) if name in METRICS else value
            for name, value in zip(result.columns, row, strict=True)
        }
        for row in result.rows
    ]


def figures(names: Iterable[str], values: Sequence[Cell]) -> dict[str, Any]:
    """Write metrics under their names."""
    return {name: cell(name, value) for name, value in zip(names, values, strict=True)}


def conditions(params: Mapping[str, str], catalog: Catalog) -> tuple[Condition, ...]:
    """Read the filters every report takes: `user`, `model`, `provider`, `api_key_hash`."""
    wanted = {
        "user": query.user(params),
        "model": query.text(params, "model"),
        "provider": query.provider(params, catalog),
        "key": query.text(params, "api_key_hash"),
    }
    return tuple(Condition(name, "eq", (v,)) for name, v in wanted.items() if v is not None)


def window(span: query.Span) -> Window:
    """Return a span as a window."""
    return Window(span.from_us, span.to_us)


def zone(params: Mapping[str, str]) -> str:
    """Read `time_zone`, an IANA name; UTC when absent."""
    name = query.text(params, "time_zone") or "UTC"
    zone_named(name)
    return name
