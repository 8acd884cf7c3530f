"""Cutting a range of time into steps of a time zone, right over daylight-saving changes.

Days, weeks (from Monday) and months begin at local midnight, so a day may have 23 or 25 hours.
Hours and minutes are told apart by the moment they begin: an hour that the clock shows twice is
two steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from regulars.reports.definitions import too_many_buckets
from regulars.reports.schema import BUCKETS_MAX, ReportError, Step, Window

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_MINUTE_US: Final = 60_000_000
_LENGTH_US: Final = {"minute": _MINUTE_US, "hour": 60 * _MINUTE_US}
YEAR_MAX: Final = 9000


@dataclass(frozen=True, slots=True)
class Bucket:
    """One step: when it begins, and the part of it that lies in the window."""

    begin_us: int
    from_us: int
    to_us: int


def zone_named(name: str) -> ZoneInfo:
    """Return the IANA time zone of this name.

    Raises:
        ReportError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise ReportError(
            f"time zone: {name[:50]!r} is not known; use an IANA name like Europe/Berlin or UTC"
        ) from exc


def buckets(window: Window, step: Step, zone: ZoneInfo) -> list[Bucket]:
    """Cut a closed window; every moment of it lies in exactly one bucket.

    Raises:
        ReportError: more than BUCKETS_MAX.
    """
    begin, end = window.from_us, window.to_us
    assert begin is not None, "checked before"
    assert end is not None, "checked before"
    found: list[Bucket] = []
    for start, after in _steps(begin, step, zone):
        if start >= end:
            break
        if len(found) == BUCKETS_MAX:
            raise too_many_buckets(BUCKETS_MAX)
        found.append(Bucket(start, max(start, begin), min(after, end)))
    return found


def begin_of(at_us: int, step: Step, zone: ZoneInfo) -> int:
    """Return when the step of a moment begins."""
    return next(_steps(at_us, step, zone))[0]


def label(begin_us: int, step: Step, zone: ZoneInfo) -> str:
    """Write a step's begin in its zone: a date, or a time with its offset."""
    moment = (_EPOCH + begin_us * _US).astimezone(zone)
    if step in _LENGTH_US:
        return moment.isoformat(timespec="minutes")
    return moment.date().isoformat()


def _steps(at_us: int, step: Step, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of the step around a moment and of all after it."""
    if step in _LENGTH_US:
        yield from _even_steps(at_us, _LENGTH_US[step], zone)
        return
    day = _first_day((_EPOCH + at_us * _US).astimezone(zone).date(), step)
    while day.year < YEAR_MAX:
        following = _next_day(day, step)
        yield _midnight(day, zone), _midnight(following, zone)
        day = following


def _even_steps(at_us: int, length_us: int, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    begin = at_us - (at_us + _offset_us(at_us, zone)) % length_us
    while True:
        # Where the clock changes by part of a step, the one after it is shorter.
        end = begin + length_us - (begin + _offset_us(begin, zone)) % length_us
        if end > at_us:
            yield begin, end
        begin = end


def _offset_us(at_us: int, zone: ZoneInfo) -> int:
    offset = (_EPOCH + at_us * _US).astimezone(zone).utcoffset()
    assert offset is not None, "a zone always has one"
    return offset // _US


def _first_day(day: date, step: Step) -> date:
    match step:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "day" | "hour" | "minute":
            return day
        case _:
            assert_never(step)


def _next_day(day: date, step: Step) -> date:
    match step:
        case "week":
            return day + timedelta(days=7)
        case "month":
            return (day + timedelta(days=31)).replace(day=1)
        case "day" | "hour" | "minute":
            return day + timedelta(days=1)
        case _:
            assert_never(step)


def _midnight(day: date, zone: ZoneInfo) -> int:
    # A midnight the clock skips is the moment it jumps at; one it shows twice is the first.
    return (datetime(day.year, day.month, day.day, tzinfo=zone) - _EPOCH) // _US
