"""When a report is due, and which stretch of time it tells of. Pure; the clock is an argument."""

from datetime import datetime, time, timedelta, tzinfo
from typing import Final

from cronsim import CronSim

from regulars.config.settings import Period

_SECOND: Final = timedelta(seconds=1)


def last_due(cron: str, now: datetime) -> datetime:
    """Return the last due time up to now; `now` is in the schedule's zone."""
    # Backwards from a second later, so that a time that is due right now counts.
    return next(CronSim(cron, now.replace(microsecond=0) + _SECOND, reverse=True))


def next_due(cron: str, now: datetime) -> datetime:
    """Return the first due time after now."""
    return next(CronSim(cron, now))


def told_period(period: Period, due: datetime) -> tuple[datetime, datetime]:
    """Return the whole hour, day, week (from Monday) or month before the due time, half-open."""
    zone = due.tzinfo
    assert zone is not None, "due times are aware"
    if period == "hour":
        end = due.replace(minute=0, second=0, microsecond=0)
        return end - timedelta(hours=1), end
    today = due.date()
    match period:
        case "day":
            first, last = today - timedelta(days=1), today
        case "week":
            last = today - timedelta(days=today.weekday())
            first = last - timedelta(weeks=1)
        case "month":
            last = today.replace(day=1)
            first = (last - timedelta(days=1)).replace(day=1)
    return _midnight(first.isoformat(), zone), _midnight(last.isoformat(), zone)


def _midnight(day: str, zone: tzinfo) -> datetime:
    return datetime.combine(datetime.fromisoformat(day), time.min, zone)
