"""Any report as a table: the answer's pages one after the other."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from regulars.exports.table import Column, Kind, Page
from regulars.reports.definitions import DIMENSIONS, METRICS
from regulars.reports.schema import LIMIT_MAX, TIME, Condition, ReportQuery, Unit
from regulars.stores.base import Filter, Reports, StoreTimeoutError

DEFAULT_METRICS: Final = (
    "requests",
    "failed_requests",
    "unpriced_requests",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cost",
    "cache_saving",
)
_KINDS: Final[dict[Unit, Kind]] = {
    "requests": "count",
    "users": "count",
    "sessions": "count",
    "tokens": "count",
    "nanousd": "usd",
    "share": "number",
    "ms": "number",
    "tokens/s": "number",
    "us": "time",
}


def report_columns(query: ReportQuery) -> tuple[Column, ...]:
    """Name and type the columns of the answer to a query."""
    return tuple(Column(name, _kind(name)) for name in query.columns)


def report_pages(
    reports: Reports, query: ReportQuery, remarks: list[str] | None = None
) -> Iterator[Page]:
    """Yield the answer's rows, by columns: all, or the first of them where the limit is below the greatest.

    Where groups are left out by the limit, or some users were not ranked, `remarks` are told why.

    Raises:
        StoreTimeoutError: groups are missing; the message says why.
    """
    while True:
        answer = reports.run(query)
        top = query.limit < LIMIT_MAX
        if answer.cut is not None and top and remarks is not None:
            remarks.append(answer.cut)
        elif answer.partial or (answer.cut is not None and answer.next is None):
            raise StoreTimeoutError(f"the report is not whole: {answer.cut}; ask for less at once")
        if answer.rows:
            yield list(zip(*answer.rows, strict=True))
        if answer.next is None or top:
            return
        query = replace(query, cursor=answer.next)


def conditions(where: Filter) -> tuple[Condition, ...]:
    """Say a filter in the words of reports; its times are the window's."""
    found = {
        "user": where.user,
        "model": where.model,
        "provider": where.provider,
        "key": where.key_hash,
    }
    return tuple(
        Condition(name, "eq", (value,)) for name, value in found.items() if value is not None
    )


def _kind(name: str) -> Kind:
    if name == TIME:
        return "time"
    if name in DIMENSIONS:
        return "flag" if DIMENSIONS[name].is_flag else "text"
    return _KINDS[METRICS[name].unit]
