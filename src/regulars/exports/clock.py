"""Writing moments in a time zone."""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Final

from regulars.reports.windows import zone_named

MINUTE_US: Final = 60_000_000
_MINUTES_KEPT: Final = 4096
_MINUTE_CHARS: Final = len("2026-01-31 12:00")


def clock(zone: str, *, between: str = " ") -> Callable[[int], str]:
    """Return a writer of moments to the millisecond, `2026-01-31 12:00:00.000`.

    Other zones than UTC put their offset behind it, or the hour that comes twice in autumn could
    not be told apart.
    """
    where = zone_named(zone)

    # Offsets change at whole minutes, and neighbours mostly share theirs.
    @lru_cache(maxsize=_MINUTES_KEPT)
    def minute(number: int) -> tuple[str, str]:
        text = datetime.fromtimestamp(number * 60, where).isoformat(between, timespec="minutes")
        return text[:_MINUTE_CHARS], "" if zone == "UTC" else text[_MINUTE_CHARS:]

    def write(at_us: int) -> str:
        number = at_us // MINUTE_US
        text, offset = minute(number)
        # Added before and cut off again: a format width costs three times as much.
        ms = str(at_us // 1000 - number * 60_000 + 100_000)
        return f"{text}:{ms[1:3]}.{ms[3:]}{offset}"

    return write
