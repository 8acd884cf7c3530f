"""The reports of the running gateway: analytics, users, activity by any group."""

import json
from collections import defaultdict
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from msgspec.structs import replace

from fakes.provider import ScriptedProvider
from fakes.running_gateway import Answer, RunningGateway, running_gateway
from fakes.sample_ledger import hostile_rows, sample_keys, sample_rows
from regulars.model.generation import Generation
from regulars.reports.definitions import METRICS
from regulars.stores.sqlite import open_store

NOW_S = time()
SAMPLE = [
    *sample_rows(NOW_S, days=40, count=600),
    *(replace(row, end_user=None) for row in sample_rows(NOW_S - 90, days=3, count=20)),
]
ALWAYS = "from=1970-01-01&to=9998-12-31"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningGateway]:
    """A gateway with the sample's rows; tests only read from it."""
    folder = tmp_path_factory.mktemp("reports")
    with ScriptedProvider() as one, running_gateway(folder, [one]) as gateway:
        add_rows(gateway, SAMPLE)
        yield gateway


def add_rows(gateway: RunningGateway, rows: list[Generation]) -> None:
    store = open_store(gateway.settings.store.url)
    try:
        for key in sample_keys():
            store.create_key(key)
        store.append(rows)
    finally:
        store.close()


def ask(gateway: RunningGateway, key: str | None = None, **fields: Any) -> Answer:
    return gateway.request(
        "POST",
        "/api/v1/analytics/query",
        json.dumps(fields).encode(),
        key=key or gateway.management_key,
    )


def answered(gateway: RunningGateway, **fields: Any) -> list[dict[str, Any]]:
    got = ask(gateway, **fields)
    assert got.status == 200, got.body
    return exact(got)["data"]["data"]


def exact(got: Answer) -> dict[str, Any]:
    """An answer with money as Decimal, from the answer's own digits."""
    assert got.status == 200, got.body
    return json.loads(got.body, parse_float=Decimal)


def spent(rows: list[Generation]) -> Decimal:
    return Decimal(sum(row.cost.total for row in rows if row.cost)) / 10**9


def grouped(rows: list[Generation], key: Callable[[Generation], Any]) -> dict[Any, list[Any]]:
    found: dict[Any, list[Generation]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


# --- what OpenRouter's users ask for


def test_group_and_filter_activity_by_user_how_much_did_team_a_spend_without_iterating_generations(
    tmp_path: Path,
) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        for user in ("team-a", "team-b", "team-a", "team-a"):
            gateway.chat(user=user)
        gateway.chat()
        rows = gateway.rows()
        of_team_a = [row for row in rows if row.end_user == "team-a"]

        (filtered,) = exact(gateway.get("/api/v1/activity?user=team-a"))["data"]
        split = exact(gateway.get("/api/v1/activity?group_by=user"))["data"]
        (total,) = answered(
            gateway,
            metrics=["total_usage", "request_count"],
            filters=[{"field": "external_user", "operator": "eq", "value": "team-a"}],
            time_range={"start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z"},
        )

    assert filtered["usage"] == total["total_usage"] == spent(of_team_a) > 0
    assert filtered["requests"] == total["request_count"] == 3
    assert {item["user"]: item["usage"] for item in split} == {
        user: spent(found) for user, found in grouped(rows, lambda row: row.end_user).items()
    }


# --- /activity

GROUPS: list[tuple[str, str, Callable[[Generation], Any]]] = [
    ("user", "user", lambda row: row.end_user),
    ("key", "api_key_hash", lambda row: row.key_hash),
    ("session", "session", lambda row: row.session),
    ("outcome", "outcome", lambda row: row.outcome.value),
    ("streamed", "streamed", lambda row: row.streamed),
]


@pytest.mark.parametrize(
    ("group", "field", "of_row"),
    GROUPS,
)
def test_activity_is_grouped_by_anything(
    site: RunningGateway, group: str, field: str, of_row: Callable[[Generation], Any]
) -> None:
    items = exact(site.get(f"/api/v1/activity?{ALWAYS}&group_by={group}"))["data"]

    found: dict[Any, Decimal] = defaultdict(Decimal)
    for item in items:
        found[item[field]] += item["usage"]
    assert found == {value: spent(rows) for value, rows in grouped(SAMPLE, of_row).items()}


def test_activity_takes_openrouters_members_as_users_and_all_as_one_workspace(
    site: RunningGateway,
) -> None:
    wanted = exact(site.get(f"/api/v1/activity?{ALWAYS}&user=hedy"))["data"]

    by_id = exact(site.get(f"/api/v1/activity?{ALWAYS}&user_id=hedy&workspace_id=any"))["data"]
    by_workspace = exact(site.get(f"/api/v1/activity?{ALWAYS}&user=hedy&group_by=workspace"))
    two = site.get("/api/v1/activity?user=hedy&user_id=alan")

    assert by_id == wanted
    assert [item.pop("workspace_id") for item in by_workspace["data"]] == [None] * len(wanted)
    assert by_workspace["data"] == wanted
    assert (two.status, "user_id: is not the same" in two.body.decode()) == (400, True)


# --- /analytics

CONDITIONS: list[tuple[list[Any], Callable[[Generation], bool]]] = [
    (
        [{"field": "external_user", "operator": "in", "value": ["hedy", "alan"]}],
        lambda row: row.end_user in ("hedy", "alan"),
    ),
    (
        [{"field": "user", "operator": "in", "value": ["hedy"], "include_unset": True}],
        lambda row: row.end_user in ("hedy", None),
    ),
    (
        [{"field": "user", "operator": "not_in", "value": ["hedy"]}],
        lambda row: row.end_user not in ("hedy", None),
    ),
    (
        [{"field": "user", "operator": "contains", "value": "ADA"}],
        lambda row: "ada" in (row.end_user or ""),
    ),
    (
        [
            {"field": "streamed", "operator": "eq", "value": "true"},
            {"field": "outcome", "operator": "neq", "value": "completed"},
        ],
        lambda row: row.streamed and row.outcome != "completed",
    ),
]


def test_the_meta_lists_every_definition(site: RunningGateway) -> None:
    meta = site.get("/api/v1/analytics/meta").json["data"]

    names = {each["name"] for each in meta["metrics"]}
    assert {"request_count", "total_usage", "cache_hit_rate", "p99_latency", "sessions"} <= names
    assert len(names) == len(meta["metrics"])
    assert all(any(n in names for n in (*m.openrouter, m.name)) for m in METRICS.values())
    assert "external_user" in {each["name"] for each in meta["dimensions"]}
    assert [each["name"] for each in meta["granularities"]] == [
        "minute", "hour", "day", "week", "month",
    ]  # fmt: skip


def test_every_metric_and_dimension_of_the_meta_can_be_asked(site: RunningGateway) -> None:
    meta = site.get("/api/v1/analytics/meta").json["data"]

    rows = answered(site, metrics=[each["name"] for each in meta["metrics"]])
    for each in meta["dimensions"]:
        groups = answered(site, metrics=["requests"], dimensions=[each["name"]])
        assert sum(row["requests"] for row in groups) == rows[0]["request_count"]
        assert all(each["name"] in row for row in groups)

    assert set(rows[0]) == {each["name"] for each in meta["metrics"]}


def test_days_in_a_time_zone_are_that_zones_days(site: RunningGateway) -> None:
    start = datetime.fromtimestamp(NOW_S, UTC) - timedelta(days=20)
    asked = [row for row in SAMPLE if row.created_at_us >= int(start.timestamp()) * 1_000_000]

    rows = answered(
        site,
        metrics=["total_usage", "p50_latency"],
        dimensions=["external_user"],
        granularity="day",
        time_zone="Asia/Kathmandu",
        time_range={"start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "end": "2090-01-01T00:00:00Z"},
        limit=10_000,
    )

    # Nepal is 5:45 ahead of UTC all the year.
    ahead = timedelta(hours=5, minutes=45)
    wanted = grouped(
        asked,
        lambda row: (
            (datetime.fromtimestamp(row.created_at_us / 1e6, UTC) + ahead).date().isoformat(),
            row.end_user,
        ),
    )
    assert {(row["date__day"], row["external_user"]): row["total_usage"] for row in rows} == {
        key: spent(found) for key, found in wanted.items()
    }


def test_a_query_is_sorted_cut_and_says_so(site: RunningGateway) -> None:
    asked: dict[str, Any] = {
        "metrics": ["cost"],
        "dimensions": ["user"],
        "time_range": {"start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z"},
        "order_by": {"field": "request_count", "direction": "desc"},
    }
    people = grouped(SAMPLE, lambda row: row.end_user)
    busiest = sorted(people, key=lambda name: -len(people[name]))

    whole = exact(ask(site, **asked))["data"]
    cut = exact(ask(site, **asked, limit=3))["data"]

    assert [len(people[row["user"]]) for row in whole["data"]] == [len(people[n]) for n in busiest]
    assert whole["metadata"]["truncated"] is False
    assert cut["data"] == whole["data"][:3]
    assert (cut["metadata"]["row_count"], cut["metadata"]["truncated"]) == (3, True)
    assert set(whole["data"][0]) == {"user", "cost"}


@pytest.mark.parametrize(
    ("conditions", "holds"),
    CONDITIONS,
)
def test_filters_select_what_they_say(
    site: RunningGateway, conditions: list[Any], holds: Callable[[Generation], bool]
) -> None:
    (row,) = answered(
        site,
        metrics=["request_count", "total_usage"],
        filters=conditions,
        time_range={"start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z"},
    )

    wanted = [each for each in SAMPLE if holds(each)]
    assert (row["request_count"], row["total_usage"]) == (len(wanted), spent(wanted))
    assert wanted


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "missing required field `metrics`"),
        ({"metrics": []}, "metrics: none asked for"),
        ({"metrics": ["x"]}, "metrics: 'x' is not known; known: request_count"),
        ({"metrics": ["cost"], "dimension": []}, "unknown field `dimension`"),
        ({"metrics": ["cost"], "dimensions": ["x"]}, "dimensions: 'x' is not known"),
        ({"metrics": ["cost"], "granularity": "year"}, "granularity: 'year' is not known"),
        ({"metrics": ["cost"], "time_zone": "X"}, "time zone: 'X' is not known"),
        ({"metrics": ["cost"], "limit": 10_001}, "limit: 10001 is not"),
        (
            {"metrics": ["cost"], "order_by": {"field": "requests", "direction": "up"}},
            "order_by.direction: 'up' is not known; known: asc, desc",
        ),
        (
            {"metrics": ["cost"], "filters": [{"field": "user", "operator": "eq", "value": []}]},
            "filters: eq of 'user' takes one value",
        ),
        (
            {"metrics": ["cost"], "time_range": {"start": "soon", "end": "later"}},
            "from: 'soon' is neither",
        ),
        (
            {
                "metrics": ["cost"],
                "granularity": "minute",
                "time_range": {"start": "2000-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z"},
            },
            "ask for a coarser one",
        ),
    ],
)
def test_a_wrong_query_is_told_precisely(
    site: RunningGateway, fields: dict[str, Any], words: str
) -> None:
    got = ask(site, **fields)

    assert got.status == 400
    assert words in got.json["error"]["message"]


def test_reports_need_a_management_key(site: RunningGateway) -> None:
    for path in ("/users", "/users/hedy", "/analytics/meta", "/activity"):
        assert site.get(f"/api/v1{path}", key=site.key).status == 403
    assert ask(site, key=site.key, metrics=["cost"]).status == 403


def test_a_body_too_large_is_refused(site: RunningGateway) -> None:
    assert ask(site, metrics=["x" * 70_000]).status == 413


# --- /users


def test_users_are_listed_page_by_page_by_any_metric(site: RunningGateway) -> None:
    people = {k: v for k, v in grouped(SAMPLE, lambda row: row.end_user).items() if k}

    for metric in METRICS:
        found: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(len(people)):
            got = exact(site.get(f"/api/v1/users?{ALWAYS}&sort={metric}&limit=4{cursor}"))
            found += got["data"]
            if got["next_cursor"] is None:
                break
            cursor = f"&cursor={quote(got['next_cursor'])}"
        values = [-1 if item[metric] is None else item[metric] for item in found]
        assert values == sorted(values, reverse=True), metric
        assert {item["user"]: item["cost"] for item in found} == {
            name: spent(rows) for name, rows in people.items()
        }


def test_a_listed_user_has_first_and_last_seen_and_a_trend(site: RunningGateway) -> None:
    rows = [row for row in SAMPLE if row.end_user == "hedy"]

    (item,) = exact(site.get(f"/api/v1/users?{ALWAYS}&user=hedy"))["data"]

    seen = sorted(row.created_at_us for row in rows)
    assert (when(item["first_seen"]), when(item["last_seen"])) == (seen[0], seen[-1])
    days = grouped(rows, lambda row: datetime.fromtimestamp(row.created_at_us / 1e6, UTC).date())
    assert item["trend"] == [
        {"date": day.isoformat(), "requests": len(found), "cost": spent(found)}
        for day, found in sorted(days.items())
    ]


def when(text: str) -> Any:
    """A time of an answer, in microseconds; answers have milliseconds."""
    return pytest.approx(datetime.fromisoformat(text).timestamp() * 1e6, abs=1000)


def test_users_are_searched(site: RunningGateway) -> None:
    found = exact(site.get(f"/api/v1/users?{ALWAYS}&q=USER_"))["data"]
    none = exact(site.get(f"/api/v1/users?{ALWAYS}&q=%25"))["data"]

    assert {item["user"] for item in found} == {
        row.end_user for row in SAMPLE if "user_" in (row.end_user or "")
    }
    assert none == []


def test_one_user_in_full(site: RunningGateway) -> None:
    rows = [row for row in SAMPLE if row.end_user == "hedy"]

    user = exact(site.get(f"/api/v1/users/hedy?{ALWAYS}"))["data"]

    assert user["user"] == "hedy"
    assert user["summary"]["cost"] == spent(rows)
    assert user["summary"]["sessions"] == len({row.session for row in rows})
    assert user["summary"]["cost_prompt"] + user["summary"]["cost_completion"] == spent(rows)
    assert {item["model"]: item["cost"] for item in user["by_model"]} == {
        name: spent(found) for name, found in grouped(rows, lambda row: row.model).items()
    }
    assert sum(item["requests"] for item in user["by_day"]) == len(rows)
    assert [item["date"] for item in user["by_day"]] == sorted(i["date"] for i in user["by_day"])
    assert sum(item["requests"] for item in user["sessions"]) == len(rows)


def test_users_of_any_name_are_found(tmp_path: Path) -> None:
    rows = hostile_rows(time())
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        add_rows(gateway, rows)
        for row in rows:
            assert row.end_user is not None
            listed = gateway.get(f"/api/v1/users?{urlencode({'user': row.end_user})}")
            assert [item["user"] for item in listed.json["data"]] == [row.end_user]
            got = gateway.get(f"/api/v1/users/{quote(row.end_user, safe='')}")
            assert got.json["data"]["user"] == row.end_user


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/users/no-such", 404, "user 'no-such' is not known"),
        ("/users/", 400, "user: is empty"),
        ("/users?sort=x", 400, "sort: 'x' is not known; known: requests"),
        ("/users?order=x", 400, "order: 'x' is not known; known: asc, desc"),
        ("/users?cursor=x", 400, "cursor: is not the next_cursor"),
        ("/users?time_zone=Nowhere", 400, "time zone: 'Nowhere' is not known"),
        ("/users/hedy?user=x", 400, "'user' is not known here"),
    ],
)
def test_what_is_no_user_is_told_precisely(
    site: RunningGateway, path: str, status: int, words: str
) -> None:
    got = site.get(f"/api/v1{path}")

    assert got.status == status
    assert words in got.json["error"]["message"]
