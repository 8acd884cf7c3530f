"""When reports are due and what they tell of."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from regulars.config.settings import Period
from regulars.delivery.schedule import last_due, next_due, told_period
from regulars.exports.clock import clock
from regulars.exports.csv_file import harmless
from regulars.reports.windows import zone_named

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_time_that_is_due_right_now_counts() -> None:
    now = datetime(2026, 3, 2, 6, 0, 0, 250_000, UTC)

    assert last_due("0 6 * * *", now) == datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
    assert next_due("0 6 * * *", now) == datetime(2026, 3, 3, 6, 0, tzinfo=UTC)


def test_the_last_due_time_is_found_in_its_zone() -> None:
    now = datetime(2026, 7, 1, 3, 59, tzinfo=UTC).astimezone(BERLIN)

    assert last_due("0 6 * * *", now) == datetime(2026, 6, 30, 6, 0, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("period", "begin", "end"),
    [
        ("hour", datetime(2026, 3, 30, 5, tzinfo=BERLIN), datetime(2026, 3, 30, 6, tzinfo=BERLIN)),
        ("day", datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 3, 30, tzinfo=BERLIN)),
        ("week", datetime(2026, 3, 23, tzinfo=BERLIN), datetime(2026, 3, 30, tzinfo=BERLIN)),
        ("month", datetime(2026, 2, 1, tzinfo=BERLIN), datetime(2026, 3, 1, tzinfo=BERLIN)),
    ],
)
def test_a_report_tells_of_the_whole_period_before(
    period: Period, begin: datetime, end: datetime
) -> None:
    assert told_period(period, datetime(2026, 3, 30, 6, 15, tzinfo=BERLIN)) == (begin, end)


def test_the_day_the_clocks_change_has_23_hours() -> None:
    begin, end = told_period("day", datetime(2026, 3, 30, 6, tzinfo=BERLIN))

    assert end.timestamp() - begin.timestamp() == 23 * 3600


def test_the_hour_that_comes_twice_is_told_apart_by_its_offset() -> None:
    write = clock("Europe/Berlin")
    first_us = 1_792_888_200_000_000  # 2026-10-25 00:30 UTC

    assert write(first_us) == "2026-10-25 02:30:00.000+02:00"
    assert write(first_us + 3_600_000_000) == "2026-10-25 02:30:00.000+01:00"


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(ValueError, match="'Mars' is not known"):
        zone_named("Mars")


@pytest.mark.parametrize(
    "formula",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\u3000=1", "＝1"],  # noqa: RUF001
)
def test_a_formula_becomes_text(formula: str) -> None:
    assert harmless(formula) == f"'{formula}"


@pytest.mark.parametrize("text", ["ann", "", " ", "a=b", "🚀", "<b>", "'quoted'"])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text
