"""The windows a spend limit counts in: the UTC day, the ISO week from Monday, the month. Pure.

Source: openrouter-api.md section 4.
"""

from datetime import UTC, datetime, timedelta
from typing import assert_never

from regulars.model.caller import LimitReset


def window_begin(reset: LimitReset, now: datetime) -> datetime:
    """Return when the window that holds `now` began."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match reset:
        case LimitReset.DAILY:
            return today
        case LimitReset.WEEKLY:
            return today - timedelta(days=today.weekday())
        case LimitReset.MONTHLY:
            return today.replace(day=1)
    assert_never(reset)


def window_end(reset: LimitReset, now: datetime) -> datetime:
    """Return when the next window begins."""
    begin = window_begin(reset, now)
    match reset:
        case LimitReset.DAILY:
            return begin + timedelta(days=1)
        case LimitReset.WEEKLY:
            return begin + timedelta(days=7)
        case LimitReset.MONTHLY:
            # Every month's 32nd day lies in the next one.
            return (begin + timedelta(days=31)).replace(day=1)
    assert_never(reset)
