from zoneinfo import ZoneInfo

import pytest

from regulars.web import numbers
from regulars.web.names import public_address, shortened, user_path, visible
from regulars.web.periods import HOUR_US, ago, bar_words, custom, recent
from regulars.web.view import View, dates_refused, parse

NBSP = "\N{NARROW NO-BREAK SPACE}"
DASH = "\N{EN DASH}"
NOW_US = 1_795_366_800_123_456


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (None, DASH),
        (0, "$0"),
        (1, "$0.000000001"),
        (123_000, "$0.000123"),
        (123_456, "$0.000123"),
        (10_000_000, "$0.01"),
        (43_210_000, "$0.043"),
        (100_000_000, "$0.10"),
        (999_999_999, "$1.00"),
        (1_240_000_000, "$1.24"),
        (1_234_560_000_000, "$1,234.56"),
        (12_340_000_000_000, "$12,340"),
        (-1_240_000_000, "-$1.24"),
    ],
)
def test_money_is_short_and_never_wrong_by_a_digit(nanousd: int | None, text: str) -> None:
    assert numbers.usd(nanousd) == text


def test_exact_money_has_every_nano() -> None:
    assert numbers.usd_exact(1_500) == "$0.0000015"
    assert numbers.usd_exact(-1_500) == "-$0.0000015"
    assert numbers.usd_exact(None) == numbers.usd_column(None) == DASH
    assert numbers.usd_column(-1_234_000_000_001) == "-$1,234.000000001"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, DASH), (0, "0"), (987, "987"), (999, "999"), (1000, "1k"), (12_345, "12.3k"),
        (999_499, "999k"), (999_999, "1M"), (4_560_000, "4.56M"), (10**12, "1T"),
    ],
)  # fmt: skip
def test_counts_have_three_digits(count: int | None, text: str) -> None:
    assert numbers.compact(count) == text


def test_shares_are_0_or_100_only_when_they_are() -> None:
    assert numbers.share(79, 100) == f"79{NBSP}%"
    assert numbers.share(1, 1000) == f"<1{NBSP}%"
    assert numbers.share(999, 1000) == f">99{NBSP}%"
    assert numbers.share(0, 10) == f"0{NBSP}%"
    assert numbers.share(0, 0) == DASH


def test_change_is_a_percentage_or_a_multiple_or_unknown() -> None:
    assert numbers.change(112, 100) == f"+12{NBSP}%"
    assert numbers.change(50, 100) == f"\N{MINUS SIGN}50{NBSP}%"
    assert numbers.change(1000, 1001) == f"±0{NBSP}%"
    assert numbers.change(950, 100) == "\N{MULTIPLICATION SIGN}9.5"
    assert numbers.change(5, 0) == DASH


def test_durations_change_unit() -> None:
    assert numbers.milliseconds(312.4) == f"312{NBSP}ms"
    assert numbers.milliseconds(1240) == f"1.24{NBSP}s"
    assert numbers.milliseconds(123_000) == f"2{NBSP}min 3{NBSP}s"
    assert numbers.milliseconds(300_000) == f"5{NBSP}min"
    assert numbers.milliseconds(3_600_000) == f"1{NBSP}h"
    assert numbers.milliseconds(None) == DASH


def test_hidden_characters_are_spelled_out() -> None:
    assert visible("a\u202eb\u200b") == "a\\u202eb\\u200b"
    assert visible(" a ") == "“ a ”"
    assert len(shortened("x" * 512)) == 80


def test_user_paths_survive_slashes_and_dots() -> None:
    assert user_path("a/b?c#d") == "/users/a%2Fb%3Fc%23d"
    assert user_path("..") == "/users?id=.."


def test_only_a_plain_host_is_repeated() -> None:
    assert public_address("https", "gw.example:8787", "x") == "https://gw.example:8787"
    assert public_address("http", "[::1]:8787", "x") == "http://[::1]:8787"
    for bad in (None, "", "a b", "evil.example/'", "$(id)", "a\n", "-x"):
        assert public_address("http", bad, "127.0.0.1:8787") == "http://127.0.0.1:8787"


def test_windows_end_now_and_are_aligned() -> None:
    for slug, bars in (("1h", 60), ("24h", 24), ("7d", 28), ("30d", 30), ("90d", 90), ("1y", 52)):
        window = recent(slug, NOW_US)
        assert window.bars == bars
        assert window.from_us < NOW_US < window.to_us
        assert window.before() == (2 * window.from_us - window.to_us, window.from_us)


def test_custom_dates_include_both_ends_and_are_bounded() -> None:
    window = custom("2026-02-28", "2026-03-01")
    assert window is not None
    assert window.bars == 48
    for first, last in (("2026-02-30", "x"), ("2026-03-02", "2026-03-01"), ("2000-01-01", "2026-01-01"),
                        ("9999-12-31", "9999-12-31"), ("1970-01-01", "1970-01-02")):  # fmt: skip
        assert custom(first, last) is None


def test_times_are_relative() -> None:
    assert [ago(NOW_US - s * 1_000_000, NOW_US) for s in (-5, 12, 300, 7200, 200_000)] == [
        "just now", "12\N{NO-BREAK SPACE}s ago", "5\N{NO-BREAK SPACE}min ago",
        "2\N{NO-BREAK SPACE}h ago", "2\N{NO-BREAK SPACE}d ago",
    ]  # fmt: skip
    assert bar_words(0, 86_400_000_000) == "Thu 1 Jan 1970"


def test_view_survives_its_own_url() -> None:
    view = View(period="7d", group="model", metric="tokens", user="a&b=c/ü", provider="p")

    url = view.href("/activity", key="k")

    assert (
        url
        == "/activity?period=7d&group=model&metric=tokens&user=a%26b%3Dc%2F%C3%BC&provider=p&key=k"
    )
    assert View().href("/activity") == "/activity?period=24h"


def test_unreadable_view_is_the_default() -> None:
    assert parse({"period": "x", "group": "y", "metric": "z", "user": "u" * 513}) == View()
    assert dates_refused({"from": "2026-02-02", "to": "2026-02-01"})
    dated = parse({"from": "2026-02-01", "to": "2026-02-02"})
    assert dated.href("/users") == "/users?period=custom&from=2026-02-01&to=2026-02-02"
    assert dated.href("/users", period="7d") == "/users?period=7d"


def test_days_of_a_zone_begin_at_its_midnights_across_a_clock_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")

    window = custom("2026-03-28", "2026-03-30", berlin)
    month = custom("2026-03-01", "2026-03-31", berlin)

    assert window is not None
    assert month is not None
    assert (window.to_us - window.from_us, window.bars) == (71 * HOUR_US, 71)
    assert month.end_of(28) - month.starts[28] == 23 * HOUR_US
    assert bar_words(month.starts[28], month.end_of(28), berlin) == "Sun 29 Mar 2026"


def test_a_view_keeps_its_zone_and_refuses_strange_ones() -> None:
    assert parse({"tz": "Europe/Berlin"}).href("/activity").endswith("&tz=Europe%2FBerlin")
    assert parse({"tz": "../../etc/passwd"}) == View()
    assert dates_refused({"tz": "Mars/Base"})
