"""Which stretch of time a page shows, cut into bars in a time zone. Pure."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from regulars.reports import windows
from regulars.reports.schema import Step

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
STEP_US: Final[dict[Step, int]] = {
    "minute": MINUTE_US,
    "hour": HOUR_US,
    "day": DAY_US,
    "week": 7 * DAY_US,
    "month": 30 * DAY_US,
}
QUARTER_DAY_H: Final = 6
CUSTOM_DAYS_MAX: Final = 1830
DEFAULT_PERIOD: Final = "24h"
UTC_ZONE: Final = ZoneInfo("UTC")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TO: Final = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [from_us, to_us), cut where bars begin (`starts`), each of one or more steps.

    `bar_us` is a bar's usual length: days may have 23 or 25 hours, months differ.
    """

    from_us: int
    to_us: int
    step: Step
    bar_us: int
    words: str
    starts: tuple[int, ...]
    zone: ZoneInfo = UTC_ZONE

    @property
    def bars(self) -> int:
        """How many bars the window has."""
        return len(self.starts)

    def before(self) -> tuple[int, int]:
        """Return the stretch of the same length just before."""
        return 2 * self.from_us - self.to_us, self.from_us

    def bar_of(self, at_us: int) -> int | None:
        """Return the number of the bar that a moment lies in; None outside the window."""
        if not self.from_us <= at_us < self.to_us:
            return None
        return bisect_right(self.starts, at_us) - 1

    def end_of(self, bar: int) -> int:
        """Return where a bar ends."""
        return self.starts[bar + 1] if bar + 1 < self.bars else self.to_us


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time by name, always reaching up to now."""

    slug: str
    words: str
    step: Step
    bar_us: int
    bars: int


PERIODS: Final = (
    Period("1h", "1 hour", "minute", MINUTE_US, 60),
    Period("24h", "24 hours", "hour", HOUR_US, 24),
    Period("7d", "7 days", "hour", QUARTER_DAY_H * HOUR_US, 28),
    Period("30d", "30 days", "day", DAY_US, 30),
    Period("90d", "90 days", "day", DAY_US, 90),
    Period("1y", "1 year", "week", 7 * DAY_US, 52),
)
_BY_SLUG: Final = {period.slug: period for period in PERIODS}


def recent(slug: str, now_us: int, zone: ZoneInfo = UTC_ZONE) -> Window:
    """Return the window of a named period; an unknown name is the default's."""
    period = _BY_SLUG.get(slug, _BY_SLUG[DEFAULT_PERIOD])
    if period.bar_us <= HOUR_US:
        to_us = windows.begin_of(now_us, period.step, zone) + period.bar_us
        span = to_us - period.bar_us * period.bars, to_us
    else:
        # By the clock on the wall, so that bars begin at midnights whatever the clock did since.
        end = _bar_end(moment(now_us, zone), period)
        begin = end - timedelta(microseconds=period.bar_us * period.bars)
        span = _us(begin), _us(end)
    return cut(span, period.step, period.bar_us, words=period.words, zone=zone)


def custom(first: str, last: str, zone: ZoneInfo = UTC_ZONE) -> Window | None:
    """Return the window from one date to another, both included; None if they make no sense."""
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    days = (end - start).days
    if not 1 <= days <= CUSTOM_DAYS_MAX or start.year < 1971 or end.year >= windows.YEAR_MAX:
        return None
    step, bar_us = _bars_of(days)
    span = _us(_midnight(start, zone)), _us(_midnight(end, zone))
    return cut(span, step, bar_us, words=f"{days} days" if days > 1 else "1 day", zone=zone)


def cut(
    span: tuple[int, int], step: Step, bar_us: int, *, words: str, zone: ZoneInfo = UTC_ZONE
) -> Window:
    """Cut a stretch of time into bars of whole steps."""
    starts = [each.from_us for each in windows.buckets(windows.Window(*span), step, zone)]
    if bar_us > STEP_US[step]:
        kept = [us for us in starts[1:] if moment(us, zone).hour % QUARTER_DAY_H == 0]
        starts = [*starts[:1], *kept]
    return Window(*span, step, bar_us, words, tuple(starts), zone)


def moment(at_us: int, zone: ZoneInfo = UTC_ZONE) -> datetime:
    """Turn microseconds into an aware time."""
    return datetime.fromtimestamp(at_us / 1_000_000, zone)


def exact_utc(at_us: int) -> str:
    """Write a moment in full."""
    return f"{moment(at_us):%Y-%m-%d %H:%M:%S} UTC"


def ago(at_us: int, now_us: int) -> str:
    """Write how long ago something was."""
    seconds = max(0, now_us - at_us) // 1_000_000
    if seconds < 5:
        return "just now"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size}\N{NO-BREAK SPACE}{unit} ago"
    return f"{seconds}\N{NO-BREAK SPACE}s ago"


def bar_words(start_us: int, end_us: int, zone: ZoneInfo = UTC_ZONE) -> str:
    """Name one bar: the minute, the hour, the day, or the days it spans."""
    start = moment(start_us, zone)
    length_us = end_us - start_us
    if length_us < HOUR_US:
        return f"{start.day} {start:%b %H:%M}"
    if length_us < 23 * HOUR_US:
        return f"{start.day} {start:%b %H:%M}{_TO}{moment(end_us, zone):%H:%M}"
    if length_us <= 25 * HOUR_US:
        return f"{start:%a} {start.day} {start:%b %Y}"
    last = moment(end_us - 1, zone)
    return f"{start.day} {start:%b} {_TO} {last.day} {last:%b %Y}"


def _bar_end(now: datetime, period: Period) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period.bar_us < DAY_US:
        return midnight + timedelta(hours=(now.hour // QUARTER_DAY_H + 1) * QUARTER_DAY_H)
    if period.step == "week":
        return midnight + timedelta(days=7 - now.weekday())
    return midnight + timedelta(days=1)


def _bars_of(days: int) -> tuple[Step, int]:
    if days <= 3:
        return "hour", HOUR_US
    if days <= 14:
        return "hour", QUARTER_DAY_H * HOUR_US
    if days <= 100:
        return "day", DAY_US
    step: Step = "week" if days <= 730 else "month"
    return step, STEP_US[step]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
