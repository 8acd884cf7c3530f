"""Which stretch of time a page shows, cut into bars. Pure; all times are UTC."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from regulars.stores.base import Step

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
STEP_US: Final[dict[Step, int]] = {"minute": MINUTE_US, "hour": HOUR_US, "day": DAY_US}
CUSTOM_DAYS_MAX: Final = 1830
DEFAULT_PERIOD: Final = "24h"
_TO: Final = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open [from_us, to_us), aligned to bars of `bar_us`, each a whole number of steps."""

    from_us: int
    to_us: int
    step: Step
    bar_us: int
    words: str

    @property
    def bars(self) -> int:
        """How many bars the window has; the last may reach past its end."""
        return -(-(self.to_us - self.from_us) // self.bar_us)

    def before(self) -> "Window":
        """Return the window of the same length just before."""
        length_us = self.to_us - self.from_us
        return Window(self.from_us - length_us, self.from_us, self.step, self.bar_us, self.words)


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time by name, always reaching up to now."""

    slug: str
    words: str
    step: Step
    steps_a_bar: int
    bars: int


PERIODS: Final = (
    Period("1h", "1 hour", "minute", 1, 60),
    Period("24h", "24 hours", "hour", 1, 24),
    Period("7d", "7 days", "hour", 6, 28),
    Period("30d", "30 days", "day", 1, 30),
    Period("90d", "90 days", "day", 1, 90),
    Period("1y", "1 year", "day", 7, 52),
)
_BY_SLUG: Final = {period.slug: period for period in PERIODS}


def recent(slug: str, now_us: int) -> Window:
    """Return the window of a named period; an unknown name is the default's."""
    period = _BY_SLUG.get(slug, _BY_SLUG[DEFAULT_PERIOD])
    step_us = STEP_US[period.step]
    bar_us = step_us * period.steps_a_bar
    # Six-hour bars start at midnight, weeks simply end today.
    grid_us = bar_us if bar_us <= DAY_US else step_us
    to_us = (now_us // grid_us + 1) * grid_us
    return Window(to_us - bar_us * period.bars, to_us, period.step, bar_us, period.words)


def custom(first: str, last: str) -> Window | None:
    """Return the window from one date to another, both included; None if they make no sense."""
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    days = (end - start).days
    if not 1 <= days <= CUSTOM_DAYS_MAX or start.year < 1971:
        return None
    step, bar_us = _bars_of(days)
    return Window(
        _day_us(start), _day_us(end), step, bar_us, f"{days} days" if days > 1 else "1 day"
    )


def moment(at_us: int) -> datetime:
    """Turn microseconds into an aware UTC time."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)


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


def bar_words(start_us: int, bar_us: int) -> str:
    """Name one bar: the minute, the hour, the day, or the days it spans."""
    start = moment(start_us)
    if bar_us < HOUR_US:
        return f"{start.day} {start:%b %H:%M}"
    if bar_us < DAY_US:
        end = moment(start_us + bar_us)
        return f"{start.day} {start:%b %H:%M}{_TO}{end:%H:%M}"
    if bar_us == DAY_US:
        return f"{start:%a} {start.day} {start:%b %Y}"
    last = moment(start_us + bar_us - DAY_US)
    return f"{start.day} {start:%b} {_TO} {last.day} {last:%b %Y}"


def _bars_of(days: int) -> tuple[Step, int]:
    if days <= 3:
        return "hour", HOUR_US
    if days <= 14:
        return "hour", 6 * HOUR_US
    if days <= 100:
        return "day", DAY_US
    return ("day", 7 * DAY_US) if days <= 730 else ("day", 30 * DAY_US)


def _day_us(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_US
