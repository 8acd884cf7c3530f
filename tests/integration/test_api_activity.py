"""Sums over the JSON API: exact to the last digit, in OpenRouter's fields and ours."""

import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest

from fakes.api_site import ALWAYS, NOW_S, added_up, api_site, exact, reported, walk
from fakes.running_gateway import MODEL, RunningGateway
from fakes.utc_day import today


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningGateway]:
    with api_site(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.mark.parametrize("by_user", [False, True], ids=["by-endpoint", "by-user"])
@pytest.mark.parametrize("cut", ["always", "hours", "user"])
def test_activity_adds_up_to_the_last_digit(site: RunningGateway, cut: str, by_user: bool) -> None:
    begin = datetime.fromtimestamp(NOW_S, UTC) - timedelta(days=9, hours=5, minutes=7)
    end = begin + timedelta(days=4, hours=11)
    query = {
        "always": ALWAYS,
        "hours": urlencode({"from": begin.isoformat(), "to": end.isoformat()}),
        "user": f"user=ada.lovelace&{ALWAYS}",
    }[cut]

    items = exact(site, f"/activity?{query}{'&group_by=user' if by_user else ''}")

    generations = walk(site, query)
    assert generations
    assert reported(items, by_user=by_user) == added_up(generations, by_user=by_user)


def test_an_activity_item_has_openrouters_fields_and_ours(site: RunningGateway) -> None:
    day = today()
    site.chat(user="fields")
    (item,) = exact(site, f"/activity?date={day}&user=fields&group_by=user")

    assert item["date"] == day
    assert (item["model"], item["model_permaslug"]) == (MODEL, MODEL)
    assert item["endpoint_id"] == f"p{item['provider_name'][-1]}/{MODEL}"
    assert item["user"] == "fields"
    assert item["requests"] == 1
    assert item["byok_usage_inference"] == 0
    assert item["usage"] > 0
    assert item["prompt_tokens"] > 0


@pytest.mark.parametrize(
    ("query", "has_today"),
    [
        ("", False),
        ("?model=test/tiny", False),
        ("?user=live_1", True),
        ("?group_by=user", True),
        ("?date={today}", True),
        ("?from={today}", True),
        ("?from={today}&to={today}", True),
        ("?to={today}", True),
        ("?date=2026-01-01", False),
    ],
)
def test_only_who_asks_for_more_than_openrouter_has_gets_today(
    site: RunningGateway, query: str, has_today: bool
) -> None:
    day = today()
    site.chat(user="live_1")

    items = exact(site, f"/activity{query.format(today=day)}")

    assert (day in {item["date"] for item in items}) == has_today


def test_activity_is_the_last_thirty_completed_days(site: RunningGateway) -> None:
    last = datetime.fromisoformat(today()).date()
    allowed = {(last - timedelta(days=back)).isoformat() for back in range(1, 31)}

    days = {item["date"] for item in exact(site, "/activity")}

    assert days == allowed & {each["created_at"][:10] for each in walk(site)}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("date=2026-02-30", "date: '2026-02-30' is not a date"),
        ("date=9999-12-31", "outside the years 1970 to 9998"),
        ("date=0001-01-01", "outside the years 1970 to 9998"),
        ("from=2026-02-30", "is not a date"),
        ("to=yesterday", "is neither a date"),
        ("from=2026-01-02&to=2026-01-01T00:00:00Z", "from: is after to"),
        ("group_by=model", "group_by: 'model' is not known"),
        ("user=", "user: is empty"),
        (f"user={'x' * 513}", "user: has 513 characters"),
        ("user=a%00b", "U+0000"),
    ],
)
def test_a_bad_value_is_told_precisely(site: RunningGateway, query: str, words: str) -> None:
    got = site.get(f"/api/v1/activity?{query}")

    assert got.status == 400
    assert words in got.json["error"]["message"]


@pytest.mark.parametrize("path", ["/activity?user=a&user=b", "/users?sort=cost&sort=requests"])
def test_a_parameter_that_is_said_twice_is_refused(site: RunningGateway, path: str) -> None:
    got = site.get(f"/api/v1{path}")

    assert got.status == 400
    assert "is there 2 times; send one" in got.json["error"]["message"]


KATHMANDU = ZoneInfo("Asia/Kathmandu")


def test_a_date_is_a_day_of_the_zone(site: RunningGateway) -> None:
    day = (datetime.fromtimestamp(NOW_S, KATHMANDU) - timedelta(days=5)).date()

    items = exact(site, f"/activity?date={day}&time_zone=Asia/Kathmandu")

    begin = datetime(day.year, day.month, day.day, tzinfo=KATHMANDU)
    end = begin + timedelta(days=1)
    true = walk(site, urlencode({"from": begin.isoformat(), "to": end.isoformat()}))
    assert true
    assert {item["date"] for item in items} == {day.isoformat()}
    assert sum(item["requests"] for item in items) == len(true)
    assert sum(item["usage"] for item in items) == sum(each["total_cost"] or 0 for each in true)


def test_thirty_completed_days_are_those_of_the_zone(site: RunningGateway) -> None:
    today_there = datetime.now(KATHMANDU).date()

    items = exact(site, "/activity?time_zone=Asia/Kathmandu")

    days = [today_there - timedelta(days=back) for back in range(1, 31)]
    begin = datetime.combine(days[-1], datetime.min.time(), KATHMANDU)
    end = datetime.combine(today_there, datetime.min.time(), KATHMANDU)
    true = walk(site, urlencode({"from": begin.isoformat(), "to": end.isoformat()}))
    assert {item["date"] for item in items} <= {day.isoformat() for day in days}
    assert sum(item["requests"] for item in items) == len(true)


def test_an_unknown_zone_is_refused_in_the_words_of_analytics(site: RunningGateway) -> None:
    body = {"metrics": ["requests"], "granularity": "day", "time_zone": "Mars/Olympus"}
    asked = site.request(
        "POST", "/api/v1/analytics/query", json.dumps(body).encode(), key=site.management_key
    )

    got = site.get("/api/v1/activity?time_zone=Mars/Olympus")

    assert got.status == asked.status == 400
    assert got.json["error"]["message"] == asked.json["error"]["message"]
    assert "Mars/Olympus" in got.json["error"]["message"]
