"""Single requests over the JSON API: looked up, listed, selected, walked."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from fakes.api_site import NOW_S, SAMPLE, add_rows, api_site, exact, fresh_gateway, walk
from fakes.running_gateway import MODEL, RunningGateway
from fakes.sample_ledger import INFERENCE_SECRET, sample_keys
from regulars.model.generation import Generation
from regulars.model.ids import generation_id


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningGateway]:
    with api_site(tmp_path_factory.mktemp("api")) as running:
        yield running


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


def test_a_cursor_that_no_answer_gave_is_refused(site: RunningGateway) -> None:
    got = site.get("/api/v1/generations?cursor=gen-x")

    assert got.status == 400
    assert "cursor: is not the next_cursor" in got.json["error"]["message"]


def test_a_cursor_whose_row_was_deleted_for_its_age_ends_the_walk(site: RunningGateway) -> None:
    got = site.get("/api/v1/generations?cursor=gen-1000000000-00000000000000000000")

    assert got.json == {"data": [], "next_cursor": None}
