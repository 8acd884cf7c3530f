"""Reads query parameters: what they mean, and precise words when they mean nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from regulars.identity.name import USER_LENGTH_MAX, accept_name
from regulars.model.catalog import Catalog
from regulars.model.errors import CallerError

LIMIT_MAX: Final = 100
LIMIT_DEFAULT: Final = 50
_TEXT_CHARS_MAX: Final = 512
_DAY: Final = timedelta(days=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open time range in microseconds since 1970; None is open."""

    from_us: int | None = None
    to_us: int | None = None


def only(params: Mapping[str, str], allowed: frozenset[str]) -> None:
    """Refuse parameters nobody reads: a misspelt filter, or one said twice, must not widen an answer.

    Raises:
        CallerError: names the unknown one and the known ones, or the one said twice.
    """
    said = [name for name, _ in getattr(params, "multi_items", params.items)()]
    for name in params:
        if said.count(name) > 1:
            raise CallerError(f"query: {name[:50]!r} is there {said.count(name)} times; send one")
    for name in params:
        if name not in allowed:
            known = ", ".join(sorted(allowed))
            raise CallerError(f"query: {name[:50]!r} is not known here; known: {known}")


def text(params: Mapping[str, str], name: str) -> str | None:
    """Return a bounded text, None when absent or empty."""
    value = params.get(name)
    if not value:
        return None
    if len(value) > _TEXT_CHARS_MAX:
        raise CallerError(f"{name}: has {len(value)} characters; send at most {_TEXT_CHARS_MAX}")
    return value


def user(params: Mapping[str, str]) -> str | None:
    """Return the end user asked for, in the form in which the ledger keeps it."""
    value = params.get("user")
    if value is None:
        return None
    return accept_name(value, field="user", length_max=USER_LENGTH_MAX)


def provider(params: Mapping[str, str], catalog: Catalog) -> str | None:
    """Return the provider asked for, by its name or slug, as the ledger names it."""
    value = text(params, "provider")
    return None if value is None else catalog.provider_name(value)


def limit(params: Mapping[str, str], *, default: int = LIMIT_DEFAULT, most: int = LIMIT_MAX) -> int:
    """Return the page size."""
    value = params.get("limit")
    if value is None:
        return default
    # int() itself refuses thousands of digits, and zeros ahead may be many.
    digits = value.lstrip("0")[:9] if value.isascii() and value.isdigit() else ""
    if not digits or int(digits) > most:
        raise CallerError(f"limit: {value[:20]!r} is not a whole number from 1 to {most}")
    return int(digits)


def offset(params: Mapping[str, str], *, most: int) -> int:
    """Return how many items are left out before the first."""
    value = params.get("offset")
    digits = "0" if value is None else value.lstrip("0")[:9] or "0"
    if not (digits.isascii() and digits.isdigit()) or int(digits) > most:
        raise CallerError(f"offset: {str(value)[:20]!r} is not a whole number to {most}")
    return int(digits)


def flag(params: Mapping[str, str], name: str) -> bool:
    """Return a yes or no; absent is a no."""
    value = params.get(name, "false")
    if value.lower() not in ("true", "false", "1", "0"):
        raise CallerError(f"{name}: {value[:20]!r} is neither true nor false")
    return value.lower() in ("true", "1")


def span(params: Mapping[str, str], *, zone: tzinfo = UTC) -> Span:
    """Return the range of `from` and `to`.

    Both take a date or an ISO time (in `zone` unless it names an offset). A date in `to` means that
    whole day; a time in `to` is the first moment left out.
    """
    begin = _moment(params, "from", zone, whole_day=False)
    end = _moment(params, "to", zone, whole_day=True)
    if begin is not None and end is not None and begin > end:
        raise CallerError("from: is after to; swap them")
    return Span(
        None if begin is None else microseconds(begin), None if end is None else microseconds(end)
    )


def day(params: Mapping[str, str], name: str, zone: tzinfo) -> Span | None:
    """Return the range of one day of a zone, None when absent."""
    value = params.get(name)
    if value is None:
        return None
    # A day later on the zone's calendar: it may have 23 or 25 hours.
    begin = datetime.combine(_date(value, name), datetime.min.time(), zone)
    return Span(microseconds(begin), microseconds(begin + _DAY))


def completed_days(now: datetime, *, count: int, zone: tzinfo = UTC) -> Span:
    """Return the range of the last `count` whole days of a zone before today."""
    today = datetime.combine(now.astimezone(zone).date(), datetime.min.time(), zone)
    return Span(microseconds(today - count * _DAY), microseconds(today))


def _moment(
    params: Mapping[str, str], name: str, zone: tzinfo, *, whole_day: bool
) -> datetime | None:
    value = params.get(name)
    if value is None:
        return None
    if len(value) == 10:
        # The next day's begin is found by the calendar: days of 23 and 25 hours exist.
        first = _date(value, name) + (_DAY if whole_day else timedelta())
        return datetime.combine(first, datetime.min.time(), zone)
    try:
        # A plus sign in a query string arrives as a space.
        moment = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
    except ValueError as exc:
        raise CallerError(
            f"{name}: {value[:40]!r} is neither a date (2026-01-31) nor an ISO time "
            "(2026-01-31T12:00:00Z)"
        ) from exc
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment


def _date(value: str, name: str) -> date:
    try:
        parsed = date.fromisoformat(value)
    except ValueError as exc:
        raise CallerError(f"{name}: {value[:40]!r} is not a date like 2026-01-31") from exc
    if parsed.year > 9998 or parsed.year < 1970:
        raise CallerError(f"{name}: {value[:40]!r} is outside the years 1970 to 9998")
    return parsed


def microseconds(moment: datetime) -> int:
    """Return a moment as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
