"""The windows of spend limits."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from regulars.billing.limit_window import window_begin, window_end
from regulars.model.caller import LimitReset

SUNDAY = datetime(2026, 2, 1, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reset", "begin", "end"),
    [
        (LimitReset.DAILY, "2026-02-01", "2026-02-02"),
        (LimitReset.WEEKLY, "2026-01-26", "2026-02-02"),
        (LimitReset.MONTHLY, "2026-02-01", "2026-03-01"),
    ],
)
def test_a_window_holds_its_moment(reset: LimitReset, begin: str, end: str) -> None:
    assert window_begin(reset, SUNDAY) == datetime.fromisoformat(begin).replace(tzinfo=UTC)
    assert window_end(reset, SUNDAY) == datetime.fromisoformat(end).replace(tzinfo=UTC)


def test_windows_are_those_of_utc() -> None:
    there = datetime(2026, 2, 2, 3, 0, tzinfo=timezone(timedelta(hours=5)))

    assert window_begin(LimitReset.DAILY, there) == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("reset", list(LimitReset))
def test_windows_follow_each_other_without_a_gap(reset: LimitReset) -> None:
    now = datetime(2023, 12, 30, 12, tzinfo=UTC)
    for _ in range(50):
        end = window_end(reset, now)

        assert window_begin(reset, end) == end
        assert window_begin(reset, end - timedelta(microseconds=1)) == window_begin(reset, now)
        now = end
