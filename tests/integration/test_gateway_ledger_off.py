"""`[ledger] enabled = false`: requests are served as ever, nothing is kept, and all places say so."""

import time
from pathlib import Path

from conformance.stores.ledgers import DAY_US, generation
from fakes.provider import ScriptedProvider
from fakes.running_gateway import running_gateway
from fakes.served_process import POLL_S, WAIT_S, config_text, served_process
from regulars.config.settings import ContentSettings, LedgerSettings
from regulars.stores.contents import Content
from regulars.stores.sqlite import open_store

OFF = LedgerSettings(enabled=False)


def test_without_a_ledger_answers_are_whole_and_nothing_is_kept(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], ledger=OFF) as gateway,
    ):
        whole = gateway.chat(user="u")
        stream = gateway.chat(user="u", stream=True)
        rows = gateway.rows()

    assert (whole.status, stream.status) == (200, 200)
    assert whole.json["usage"]["cost"] > 0
    assert stream.data[-1] == "[DONE]"
    assert rows == []


def test_without_a_ledger_users_stay_where_they_are_warm(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as first,
        ScriptedProvider() as second,
        running_gateway(tmp_path, [first, second], ledger=OFF) as gateway,
    ):
        for _ in range(6):
            gateway.chat(user="u")

    assert sorted([len(first.requests), len(second.requests)]) == [0, 6]


def test_api_and_pages_say_that_nothing_is_recorded(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], ledger=OFF) as gateway,
    ):
        generation_id = gateway.chat(user="u").headers["x-generation-id"]
        lookup = gateway.get(f"/api/v1/generation?id={generation_id}")
        activity = gateway.get("/api/v1/activity")
        ready = gateway.request("GET", "/readyz")
        page = gateway.get("/activity")

    assert lookup.status == 404
    assert "nothing is recorded" in lookup.json["error"]["message"]
    assert activity.headers["x-regulars-ledger"] == "off"
    assert ready.json == {"status": "ready", "ledger": "off"}
    assert b"Nothing is recorded" in page.body


def test_without_a_ledger_what_is_too_old_still_goes(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    long_ago_us = time.time_ns() // 1000 - 3 * DAY_US
    old = Content("gen-1", long_ago_us, "default", "ann", "said", False, None, None, False)
    store.keep_contents([old])
    store.append([generation(created_at_us=long_ago_us)])
    ledger = LedgerSettings(enabled=False, keep_days=2)
    content = ContentSettings(enabled=False, keep_days=2)

    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], ledger=ledger, content=content),
    ):
        deadline = time.monotonic() + WAIT_S
        while store.content(old.id) is not None or store.count_rows():
            assert time.monotonic() < deadline, "nothing was deleted"
            time.sleep(POLL_S)

    store.close()


def test_with_a_ledger_nothing_says_so(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        ready = gateway.request("GET", "/readyz")
        page = gateway.get("/activity")

    assert ready.json == {"status": "ready"}
    assert b"Nothing is recorded" not in page.body


def test_banner_and_log_say_loudly_that_nothing_is_recorded(tmp_path: Path) -> None:
    more = "[ledger]\nenabled = false\n"
    with (
        ScriptedProvider() as provider,
        served_process(tmp_path, config_text(tmp_path, {"p0": provider.url}, more=more)) as gateway,
    ):
        banner, log = gateway.banner, "".join(gateway.log.lines)

    assert "OFF: nothing is recorded" in banner
    assert "ledger_off" in log
