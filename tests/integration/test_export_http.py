"""GET /activity/export over the real gateway: what a client downloads, whole or not."""

import csv
import io
import json
import socket
import sys
import time
from collections.abc import Callable, Generator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from fakes.provider import ScriptedProvider
from fakes.running_gateway import RunningGateway, running_gateway
from fakes.sample_ledger import HOSTILE_IDS, hostile_rows, sample_keys, sample_rows
from regulars.exports.csv_file import harmless
from regulars.http.downloads import EXPORTS_MAX
from regulars.model.generation import Generation
from regulars.stores.sqlite import open_store

PATH = "/api/v1/activity/export"
NOW_S = 1_790_000_000.0
OPENROUTER_COLUMNS = (
    "generation_id,created_at,cost_total,cost_web_search,cost_cache,cost_file_processing,"
    "byok_usage_inference,tokens_prompt,tokens_completion,tokens_reasoning,tokens_cached,"
    "model_permaslug,provider_name,variant,cancelled,streamed,user,finish_reason_raw,"
    "finish_reason_normalized,generation_time_ms,time_to_first_token_ms,api_key_disabled,"
    "api_key_name,app_name"
)


def rows_of(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


@pytest.fixture(scope="module")
def rows() -> list[Generation]:
    return sample_rows(NOW_S, count=3000) + hostile_rows(NOW_S)


@pytest.fixture(scope="module")
def gateway(
    rows: list[Generation], tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningGateway]:
    folder = tmp_path_factory.mktemp("export")
    store = open_store(f"sqlite:///{folder}/regulars.db")
    store.append(rows)
    store.close()
    with ScriptedProvider() as provider, running_gateway(folder, [provider]) as running:
        opened = open_store(running.settings.store.url)
        opened.create_key(sample_keys()[1])
        opened.close()
        yield running


def test_every_row_is_in_the_csv_once_with_openrouters_columns(
    gateway: RunningGateway, rows: list[Generation]
) -> None:
    got = gateway.get(f"{PATH}?format=csv")

    header = got.body.decode().split("\r\n")[0]
    assert got.status == 200
    assert got.headers["content-type"].startswith("text/csv")
    assert got.headers["content-disposition"].startswith('attachment; filename="regulars_activity_')
    assert header.startswith(OPENROUTER_COLUMNS + ",")
    found = {row["generation_id"]: row for row in rows_of(got.body)}
    assert found.keys() == {row.id for row in rows}
    assert sum(int(row["tokens_prompt"] or 0) for row in found.values()) == sum(
        row.usage.prompt_tokens for row in rows if row.usage
    )
    assert {row["api_key_name"] for row in found.values()} == {"web app"}
    nanousd = sum(round(float(row["cost_total"] or 0) * 10**9) for row in found.values())
    assert nanousd == sum(row.cost.total for row in rows if row.cost)


def test_a_whole_csv_says_so_in_its_last_row_and_only_there(
    gateway: RunningGateway, rows: list[Generation]
) -> None:
    got = rows_of(gateway.get(f"{PATH}?format=csv").body)

    (note,) = [name for name in got[0] if name.startswith("regulars_export(")]
    assert note.startswith("regulars_export(time_zone=UTC; to=")
    assert got[-1][note] == f"complete; rows={len(rows)}"
    assert {row[note] for row in got[:-1]} == {""}


def test_bare_is_openrouters_columns_and_nothing_else(gateway: RunningGateway) -> None:
    got = gateway.get(f"{PATH}?format=csv&bare=true&user=ada.lovelace")

    assert got.body.decode().split("\r\n")[0] == OPENROUTER_COLUMNS


def test_hostile_ids_come_back_as_text_no_spreadsheet_runs(gateway: RunningGateway) -> None:
    got = rows_of(gateway.get(f"{PATH}?format=csv").body)

    users = {row["user"] for row in got}
    assert "'=cmd|' /C calc'!A0" in users
    assert set(HOSTILE_IDS) - {"=cmd|' /C calc'!A0"} <= users


def test_jsonl_has_the_ids_as_they_are_and_money_exact(
    gateway: RunningGateway, rows: list[Generation]
) -> None:
    got = gateway.get(f"{PATH}?format=jsonl")

    found = [json.loads(line) for line in got.body.splitlines()]
    assert found[0]["regulars_export"]["time_zone"] == "UTC"
    assert found[-1]["regulars_export"] == {"complete": True, "rows": len(rows)}
    assert {row["user"] for row in found} >= set(HOSTILE_IDS)
    assert found[0]["created_at"].endswith("Z")


@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_nothing_found_is_a_whole_file_of_no_rows(gateway: RunningGateway, format_: str) -> None:
    got = gateway.get(f"{PATH}?format={format_}&user=nobody-at-all&from=2026-01-01&to=2026-01-02")

    assert got.status == 200
    assert got.body.count(b"\n") == 1
    assert b"complete" in got.body
    assert b"nobody-at-all" in got.body


def test_a_day_begins_and_ends_where_the_time_zone_has_it(
    gateway: RunningGateway, rows: list[Generation]
) -> None:
    got = rows_of(gateway.get(f"{PATH}?time_zone=Asia/Kolkata&from=2026-09-10&to=2026-09-10").body)

    begin_us = 1_788_978_600_000_000  # 2026-09-09 18:30 UTC
    inside = [row for row in rows if begin_us <= row.created_at_us < begin_us + 86_400_000_000]
    assert inside
    assert [row["generation_id"] for row in got] == [
        row.id for row in sorted(inside, key=lambda row: row.created_at_us, reverse=True)
    ]
    assert {row["created_at"][:10] for row in got} == {"2026-09-10"}
    assert {row["created_at"][-6:] for row in got} == {"+05:30"}


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ("format=xls", "format: 'xls' is not known; known: csv, jsonl, parquet, pdf"),
        ("time_zone=Mars/Olympus", "time zone: 'Mars/Olympus' is not known"),
        ("time_zone=../../etc/passwd", "time zone: '../../etc/passwd' is not known"),
        ("usr=ann", "'usr' is not known here"),
        ("group_by=shoe_size", "dimensions: 'shoe_size' is not known"),
        ("metrics=sums", "metrics: 'sums' is not known"),
        ("from=yesterday", "from: 'yesterday' is neither a date"),
    ],
)
def test_what_cannot_be_exported_is_refused_by_name(
    gateway: RunningGateway, params: str, named: str
) -> None:
    got = gateway.get(f"{PATH}?{params}")

    assert got.status == 400
    assert named in got.json["error"]["message"]


def test_a_report_by_user_and_local_day_adds_up_to_the_rows(
    gateway: RunningGateway, rows: list[Generation]
) -> None:
    asked = "group_by=user&granularity=day&time_zone=Asia/Kolkata&metrics=requests,cost"
    got = rows_of(gateway.get(f"{PATH}?{asked}&from=2026-08-01&to=2026-09-30").body)

    truth: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        day = (
            f"{datetime.fromtimestamp(row.created_at_us / 1e6, ZoneInfo('Asia/Kolkata')):%Y-%m-%d}"
        )
        requests, cost = truth.get((day, harmless(row.end_user or "")), (0, 0))
        cost += 0 if row.cost is None else row.cost.total
        truth[day, harmless(row.end_user or "")] = (requests + 1, cost)
    found = {
        (row["time"][:10], row["user"]): (int(row["requests"]), int(Decimal(row["cost"]) * 10**9))
        for row in got
    }
    assert found == truth
    assert {row["time"][10:] for row in got} == {" 00:00:00.000+05:30"}


def test_an_inference_key_may_not_export(gateway: RunningGateway) -> None:
    got = gateway.get(PATH, key=gateway.key)

    assert got.status == 403


def test_a_client_that_leaves_in_mid_download_frees_its_place(gateway: RunningGateway) -> None:
    usual_s = sys.getswitchinterval()

    for _ in range(EXPORTS_MAX + 2):
        leave_early(gateway)

    got = ask_until_free(gateway)
    assert got.status == 200
    assert b"complete; rows=" in got.body
    assert settles(lambda: sys.getswitchinterval() == usual_s)


def settles(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        Event().wait(0.05)
    return holds()


def leave_early(gateway: RunningGateway) -> None:
    with socket.socket() as client:
        # A small window, so that most of the file cannot be sent yet.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", gateway.port))
        client.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.management_key}"
            "\r\n\r\n".encode()
        )
        assert client.recv(200)


def ask_until_free(gateway: RunningGateway):  # noqa: ANN201 - an Answer
    deadline = time.monotonic() + 10
    while (got := gateway.get(PATH)).status == 503 and time.monotonic() < deadline:
        Event().wait(0.05)
    return got


def test_quotes_and_line_breaks_survive(tmp_path: Path) -> None:
    odd = 'say "hi",\r\nthen\nleave'
    row = replace(sample_rows(NOW_S, count=1)[0], app=odd, end_user=' \t=1+1,"')
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    store.append([row])
    store.close()
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        (got,) = rows_of(gateway.get(PATH).body)

    assert got["app_name"] == odd
    assert got["user"] == "' \t=1+1,\""


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("limit=3", "limit: is of reports; send group_by, metrics or granularity with it"),
        ("order_by=cost", "order_by: is of reports"),
        ("bare=maybe", "bare: 'maybe' is neither true nor false"),
        ("named=maybe&group_by=user", "named: 'maybe' is neither true nor false"),
        ("user=ann&user=bob", "query: 'user' is there 2 times; send one"),
        (
            "format=pdf&metrics=requests,cost,users,sessions,cost_prompt,last_seen,ttft_p90",
            "metrics: a PDF has room for 6; 7 were asked for",
        ),
        ("format=pdf&group_by=user&order_by=cost", "order_by: a PDF has tables of its own"),
        ("format=pdf&granularity=day&from=2026-01-01", "granularity: a PDF has tables"),
    ],
)
def test_an_export_that_would_be_another_than_asked_for_is_refused(
    gateway: RunningGateway, asked: str, words: str
) -> None:
    got = gateway.get(f"{PATH}?{asked}")

    assert got.status == 400
    assert words in got.json["error"]["message"]


def test_a_report_of_the_named_leaves_nobody_out(
    gateway: RunningGateway, rows: list[Generation]
) -> None:
    everybody = rows_of(gateway.get(f"{PATH}?group_by=user&bare=true").body)
    named = rows_of(gateway.get(f"{PATH}?group_by=user&named=true&bare=true").body)
    told = gateway.get(f"{PATH}?group_by=user&named=true").body.splitlines()[0]

    assert [row for row in everybody if row["user"]] == named
    assert b"named=true" in told
    assert len(named) == len({row.end_user for row in rows} - {None})
