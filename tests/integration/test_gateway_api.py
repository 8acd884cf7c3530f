"""The lookups and reports of the running gateway: what they say, what they refuse."""

import json
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from fakes.provider import ScriptedProvider
from fakes.running_gateway import MODEL, RunningGateway, running_gateway
from fakes.sample_ledger import INFERENCE_SECRET, sample_keys, sample_rows
from fakes.utc_day import today
from regulars.model.generation import Generation
from regulars.model.ids import generation_id
from regulars.stores.sqlite import open_store

NOW_S = time()
SAMPLE = sample_rows(NOW_S, days=40, count=600)
ALWAYS = "from=1970-01-01&to=9998-12-31"

SUMMED = {
    "usage": "total_cost",
    "prompt_tokens": "native_tokens_prompt",
    "completion_tokens": "native_tokens_completion",
    "reasoning_tokens": "native_tokens_reasoning",
    "cached_tokens": "native_tokens_cached",
    "cache_write_tokens": "native_tokens_cache_write",
}
"""An activity item's sums, and the generation's field that each adds up."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningGateway]:
    """A gateway with the sample's rows and some of its own; tests only read from it."""
    folder = tmp_path_factory.mktemp("api")
    with (
        ScriptedProvider() as one,
        ScriptedProvider() as two,
        running_gateway(folder, [one, two]) as gateway,
    ):
        add_rows(gateway, SAMPLE)
        for number in range(8):
            gateway.chat(user=f"live_{number % 4}", stream=number % 2 == 0)
        gateway.chat()
        yield gateway


@contextmanager
def fresh_gateway(folder: Path) -> Generator[RunningGateway]:
    with ScriptedProvider() as provider, running_gateway(folder, [provider]) as gateway:
        yield gateway


def add_rows(gateway: RunningGateway, rows: list[Generation]) -> None:
    """Put rows in behind the gateway's back, with the sample's keys."""
    store = open_store(gateway.settings.store.url)
    try:
        known = {key.hash for key in store.list_keys()}
        for key in sample_keys():
            if key.hash not in known:
                store.create_key(key)
        store.append(rows)
    finally:
        store.close()


def exact(gateway: RunningGateway, path: str) -> list[dict[str, Any]]:
    """The items of an answer, with money as Decimal from the answer's own digits."""
    got = gateway.get(f"/api/v1{path}")
    assert got.status == 200, got.body
    return json.loads(got.body, parse_float=Decimal)["data"]


def walk(gateway: RunningGateway, query: str = ALWAYS, *, limit: int = 100) -> list[dict[str, Any]]:
    """All generations of a query, page after page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(len(SAMPLE)):
        got = gateway.get(f"/api/v1/generations?{query}&limit={limit}{cursor}")
        page = json.loads(got.body, parse_float=Decimal)
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
    raise AssertionError("the walk does not end")


def added_up(generations: list[dict[str, Any]], *, by_user: bool) -> dict[tuple[Any, ...], Any]:
    """What the activity report must say of these generations."""
    groups: dict[tuple[Any, ...], Counter[str]] = {}
    for each in generations:
        key = (each["created_at"][:10], each["model"], each["provider_name"])
        group = groups.setdefault((*key, each["external_user"]) if by_user else key, Counter())
        group["requests"] += 1
        group["failed_requests"] += each["outcome"] != "completed"
        group["unpriced_requests"] += each["price_status"] == "unknown"
        for name, field in SUMMED.items():
            group[name] += each[field] or 0
    return {key: dict(group) for key, group in groups.items()}


def reported(items: list[dict[str, Any]], *, by_user: bool) -> dict[tuple[Any, ...], Any]:
    names = ["requests", "failed_requests", "unpriced_requests", *SUMMED]
    keys = ["date", "model", "provider_name", *(["user"] if by_user else [])]
    return {tuple(item[k] for k in keys): {n: item[n] for n in names} for item in items}


# --- /generation


def test_a_generation_is_found_by_its_own_key_and_by_management(tmp_path: Path) -> None:
    with fresh_gateway(tmp_path) as gateway:
        answer = gateway.chat(user="u").json
        add_rows(gateway, [])
        path = f"/api/v1/generation?id={answer['id']}"
        own = gateway.get(path, key=gateway.key)
        management = gateway.get(path)
        other = gateway.get(path, key=INFERENCE_SECRET)
        nobody = gateway.request("GET", path)

    assert own.json["data"] == management.json["data"]
    assert own.json["data"]["external_user"] == "u"
    assert (own.status, management.status, other.status, nobody.status) == (200, 200, 403, 401)
    assert "belongs to another API key" in other.json["error"]["message"]
    assert "external_user" not in other.body.decode()


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("?id=gen-no-such", 404, "'gen-no-such' is not known"),
        ("?id=%00", 404, "is not known"),
        ("", 400, "id: is missing"),
        ("?id=", 400, "id: is missing"),
        ("?id=x&user=y", 400, "'user' is not known here; known: id"),
        (f"?id={'x' * 10_000}", 400, "id: has 10000 characters"),
    ],
    ids=["unknown", "nul", "none", "empty", "parameter", "long"],
)
def test_what_is_no_generation_is_told_precisely(
    site: RunningGateway, query: str, status: int, words: str
) -> None:
    got = site.get(f"/api/v1/generation{query}")

    assert (got.status, got.json["error"]["code"]) == (status, status)
    assert words in got.json["error"]["message"]


# --- /generations


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("user", "ada.lovelace", "external_user"),
        ("user", "live_1", "external_user"),
        ("model", "qwen/qwen3-235b", "model"),
        ("provider", "kestrel", "provider_name"),
    ],
)
def test_a_filter_selects_exactly_what_it_names(
    site: RunningGateway, name: str, value: str, field: str
) -> None:
    everything = walk(site)

    found = walk(site, urlencode({name: value}))

    assert found == [each for each in everything if each[field] == value]
    assert 0 < len(found) < len(everything)


def test_filters_join_and_take_spans_of_time(site: RunningGateway) -> None:
    middle = SAMPLE[len(SAMPLE) // 2]
    begin = datetime.fromtimestamp(middle.created_at_us / 1e6, UTC).replace(microsecond=0)
    end = begin + timedelta(days=3)
    span = urlencode({"from": begin.isoformat(), "to": end.isoformat()})
    wanted = [
        row.id
        for row in reversed(SAMPLE)
        if begin.timestamp() * 1e6 <= row.created_at_us < end.timestamp() * 1e6
        and row.model == middle.model
    ]

    found = walk(site, f"{span}&model={quote(middle.model)}")

    assert [each["id"] for each in found] == wanted
    assert wanted


def test_a_date_in_to_means_that_whole_day(site: RunningGateway) -> None:
    day = datetime.fromtimestamp(SAMPLE[300].created_at_us / 1e6, UTC).date().isoformat()

    found = walk(site, f"from={day}&to={day}")

    assert {each["created_at"][:10] for each in found} == {day}
    assert SAMPLE[300].id in {each["id"] for each in found}


def test_keys_select_and_inference_keys_see_their_own(site: RunningGateway) -> None:
    theirs, ours = sample_keys()[1].hash, walk(site, "user=live_0")[0]["id"]
    path = "/api/v1/generations"

    by_hash = walk(site, f"api_key_hash={theirs}")
    mine = site.get(path, key=site.key).json["data"]
    foreign = site.get(f"{path}?api_key_hash={theirs}", key=site.key)

    assert {each["id"] for each in by_hash} == {row.id for row in SAMPLE}
    assert len(mine) == 9
    assert ours in {each["id"] for each in mine}
    assert foreign.status == 403
    assert "another API key" in foreign.json["error"]["message"]


def test_a_listed_generation_is_the_one_that_is_looked_up(site: RunningGateway) -> None:
    listed = exact(site, "/generations?limit=5")

    looked_up = [exact(site, f"/generation?id={each['id']}") for each in listed]

    assert looked_up == listed
    assert all(
        {"outcome", "usage_source", "price_status"} <= set(each) and each["outcome"] == "completed"
        for each in listed
    )


def test_a_walk_has_no_gap_and_no_duplicate_while_rows_are_added(tmp_path: Path) -> None:
    # Five rows share each moment: within one, only the cursor's second part tells them apart.
    times = [int((NOW_S - 3600 + number // 5) * 1e6) for number in range(40)]
    rows = [
        Generation(
            id=generation_id(at_us, number),
            created_at_us=at_us,
            account="default",
            key_hash=sample_keys()[1].hash,
            outcome=SAMPLE[0].outcome,
            status=200,
            model=MODEL,
            streamed=False,
        )
        for number, at_us in enumerate(times)
    ]
    with fresh_gateway(tmp_path) as gateway:
        add_rows(gateway, rows)
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            page = gateway.get(f"/api/v1/generations?limit=7{cursor}").json
            seen += [each["id"] for each in page["data"]]
            cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
            gateway.chat(user="meanwhile")

    assert seen == [row.id for row in reversed(rows)]


@pytest.mark.parametrize("limit", ["1", "100", "007"])
def test_a_limit_in_bounds_is_kept(site: RunningGateway, limit: str) -> None:
    assert len(site.get(f"/api/v1/generations?limit={limit}").json["data"]) == int(limit)


@pytest.mark.parametrize(
    "limit",
    ["0", "101", "-1", "1.5", "", "x", "1e2", "٣", "0000000019999", "000000001" + "0" * 5000],
    ids=["0", "101", "-1", "1.5", "empty", "x", "1e2", "arabic", "zeros-ahead", "5009-digits"],
)
def test_a_limit_out_of_bounds_is_refused(site: RunningGateway, limit: str) -> None:
    got = site.get(f"/api/v1/generations?limit={quote(limit)}")

    assert got.status == 400
    assert "is not a whole number from 1 to 100" in got.json["error"]["message"]


@pytest.mark.parametrize("route", ["generations", "activity"])
def test_an_unknown_parameter_is_named_with_the_known_ones(
    site: RunningGateway, route: str
) -> None:
    got = site.get(f"/api/v1/{route}?usr=ada")

    assert got.status == 400
    assert "'usr' is not known here; known: api_key_hash, " in got.json["error"]["message"]


# --- /activity


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


# --- /key, /models, health


def test_a_key_tells_what_it_spent(tmp_path: Path) -> None:
    with fresh_gateway(tmp_path) as gateway:
        today()
        gateway.chat(user="u")
        gateway.chat(user="u", stream=True)
        spent = sum(each["total_cost"] for each in walk(gateway))
        got = gateway.get("/api/v1/key", key=gateway.key)
        idle = gateway.get("/api/v1/auth/key").json["data"]

    data = json.loads(got.body, parse_float=Decimal)["data"]
    assert [data[f"usage{window}"] for window in ("", "_daily", "_weekly", "_monthly")] == [
        spent
    ] * 4
    assert spent > 0
    assert gateway.key not in got.body.decode()
    assert (data["is_management_key"], idle["is_management_key"]) == (False, True)
    assert idle["usage"] == 0


def test_models_are_open_to_all(site: RunningGateway) -> None:
    models = site.request("GET", "/api/v1/models").json
    (model,) = models["data"]
    endpoints = site.request("GET", f"/v1/models/{MODEL}/endpoints").json["data"]
    unknown = site.request("GET", "/api/v1/models/no/such/endpoints")

    assert (models["total_count"], model["id"]) == (1, MODEL)
    assert model["pricing"] == {
        "prompt": "0.0000006",
        "completion": "0.0000008",
        "request": "0",
        "input_cache_read": "0.00000006",
    }
    assert [each["tag"] for each in endpoints["endpoints"]] == ["p0", "p1"]
    assert unknown.status == 404
    assert "'no/such' is not served here" in unknown.json["error"]["message"]


def test_health_needs_no_key(site: RunningGateway) -> None:
    assert site.request("GET", "/healthz").json == {"status": "ok"}
    assert site.request("GET", "/readyz").json == {"status": "ready"}


@pytest.mark.parametrize("path", ["/api/v1/no/such", "/api/v2/models", "/v1", "/api/v1/%00%ff"])
def test_an_unknown_path_is_an_error_object(site: RunningGateway, path: str) -> None:
    got = site.get(path)

    assert got.status == 404
    assert got.headers["content-type"] == "application/json"
    assert got.json["error"]["code"] == 404
    assert got.json["error"]["metadata"] == {"error_type": "not_found"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/models", "GET"),
        ("POST", "/api/v1/activity", "GET"),
        ("PUT", "/healthz", "GET"),
        ("GET", "/api/v1/chat/completions", "POST"),
        ("DELETE", "/v1/chat/completions", "POST"),
    ],
)
def test_a_wrong_method_names_the_right_one(
    site: RunningGateway, method: str, path: str, allowed: str
) -> None:
    got = site.request(method, path, b"{}", key=site.key)

    assert (got.status, got.json["error"]["code"]) == (405, 405)
    assert allowed in got.headers["allow"]
    assert method in got.json["error"]["message"]
