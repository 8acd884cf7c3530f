"""Prompts and completions: kept only where the operator and the key say so, bounded, for a while."""

import json
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from msgspec import Raw

from conformance.stores.ledgers import generation
from fakes.kept_files import kept
from fakes.provider import Script, ScriptedProvider, error_script
from fakes.running_gateway import MODEL, Answer, RunningGateway, running_gateway
from regulars.config.settings import ContentSettings
from regulars.ledger.contents import DAY_US, ContentKeeper, Transcript
from regulars.stores.contents import Content
from regulars.stores.sqlite import open_store

PROMPT = "canary-prompt-ü-41af"
COMPLETION = "canary completion 9be0, in words."
MESSAGES = [{"role": "user", "content": PROMPT}]
ON = ContentSettings(enabled=True)
CHAT = "/api/v1/chat/completions"


@contextmanager
def gateway(
    folder: Path, content: ContentSettings, *, script: Script | None = None
) -> Generator[RunningGateway]:
    with (
        ScriptedProvider(default=script or Script(text=COMPLETION)) as provider,
        running_gateway(folder, [provider], content=content) as running,
    ):
        yield running


def key_with(running: RunningGateway, share: float) -> str:
    body = json.dumps({"name": "kept", "content_share": share}).encode()
    made = running.request("POST", "/api/v1/keys", body, key=running.management_key)
    assert made.status == 201
    return made.json["key"]


def ask(running: RunningGateway, secret: str, *, stream: bool, **fields: Any) -> Answer:
    body = {"model": MODEL, "messages": MESSAGES, "user": "ann", "stream": stream, **fields}
    return running.request("POST", CHAT, json.dumps(body).encode(), key=secret)


def content_of(running: RunningGateway, got: Answer, *, key: str | None = None) -> Answer:
    """Look up what was said, once it is written: after the row, so perhaps a moment later."""
    path = f"/api/v1/generation/content?id={got.headers['x-generation-id']}"
    pause, until_s = Event(), time.monotonic() + 5.0
    while (found := running.get(path, key=key)).status == 404 and time.monotonic() < until_s:
        pause.wait(0.01)
    return found


def files_under(folder: Path) -> bytes:
    return b"".join(kept(folder).values())


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_said_is_shown_to_the_key_and_to_managers(tmp_path: Path, stream: bool) -> None:
    with gateway(tmp_path, ON) as running:
        secret = key_with(running, 1.0)
        got = ask(running, secret, stream=stream)

        own = content_of(running, got, key=secret)
        managers = content_of(running, got)
        strangers = content_of(running, got, key=running.key)

    assert (
        own.json["data"]
        == managers.json["data"]
        == {
            "input": {"messages": MESSAGES},
            "output": {"completion": COMPLETION, "reasoning": None},
            "error": None,
            "truncated": {"input": False, "output": False},
        }
    )
    assert strangers.status == 403


@pytest.mark.parametrize(
    ("content", "share"), [(ContentSettings(), 0.0), (ON, 0.0)], ids=["off", "key-off"]
)
def test_nothing_is_kept_where_it_is_off(
    tmp_path: Path, content: ContentSettings, share: float
) -> None:
    with gateway(tmp_path, content) as running:
        secret = key_with(running, share)
        for stream in (False, True):
            got = ask(running, secret, stream=stream)
            path = f"/api/v1/generation/content?id={got.headers['x-generation-id']}"
            assert (got.status, running.get(path).status) == (200, 404)

    written = files_under(tmp_path)
    assert PROMPT.encode() not in written
    assert COMPLETION.encode() not in written


def test_an_operator_turns_off_what_keys_still_ask_for(tmp_path: Path) -> None:
    with gateway(tmp_path, ON) as running:
        secret, keys = key_with(running, 1.0), (running.key, running.management_key)
    with (
        ScriptedProvider(default=Script(text=COMPLETION)) as provider,
        running_gateway(tmp_path, [provider], keys=keys) as running,
    ):
        assert ask(running, secret, stream=True).status == 200

    assert PROMPT.encode() not in files_under(tmp_path)


def test_a_share_of_requests_is_sampled(tmp_path: Path) -> None:
    with gateway(tmp_path, ON) as running:
        secret = key_with(running, 0.5)
        for _ in range(60):
            ask(running, secret, stream=False)

    with closing(sqlite3.connect(tmp_path / "regulars.db")) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM content").fetchone()
    assert 10 <= kept <= 50  # 30 by chance; beyond these once in ten million


def test_what_is_too_long_is_cut(tmp_path: Path) -> None:
    small = ContentSettings(enabled=True, item_bytes_max=256)
    with gateway(tmp_path, small, script=Script(text="ü" * 1000)) as running:
        secret = key_with(running, 1.0)
        got = ask(running, secret, stream=True, messages=[{"role": "user", "content": "ä" * 900}])

        data = content_of(running, got).json["data"]

    assert data["input"]["prompt"].startswith('[{"role": "user", "content": "')
    assert len(data["input"]["prompt"].encode()) <= 256
    assert data["output"]["completion"] == "ü" * 128
    assert data["truncated"] == {"input": True, "output": True}


def test_a_failure_is_told_with_what_led_to_it(tmp_path: Path) -> None:
    with gateway(tmp_path, ON, script=error_script(500, "no")) as running:
        secret = key_with(running, 1.0)
        got = ask(running, secret, stream=False)

        data = content_of(running, got).json["data"]

    assert data["input"] == {"messages": MESSAGES}
    assert data["output"] == {"completion": None, "reasoning": None}
    assert (data["error"]["status"], data["error"]["provider_name"]) == (got.status, "Provider 0")


def test_old_contents_go_by_themselves_whatever_the_setting(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    now_us = time.time_ns() // 1000
    old, young = (
        Content(f"gen-{days}", now_us - days * DAY_US, "default", "ann", PROMPT, True, None, None, False)
        for days in (3, 1)
    )  # fmt: skip
    store.keep_contents([old, young, young])
    keeper = ContentKeeper(store, ContentSettings(enabled=False, keep_days=2), lambda: 0.0)

    more = keeper.tidy()

    assert more is False
    assert store.content(old.id) is None
    assert store.content(young.id) == young
    assert store.erase_contents("default", "ann") == 1
    assert store.content(young.id) is None
    store.close()
    assert PROMPT.encode() not in (tmp_path / "regulars.db").read_bytes()


def test_what_finds_no_room_or_no_store_is_dropped_and_counted(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    settings = ContentSettings(enabled=True, waiting_bytes_max=1000)
    keeper = ContentKeeper(store, settings, lambda: 0.0)
    said = Transcript(Raw(b"[" + b" " * 598 + b"]"), settings.item_bytes_max)

    kept = [keeper.keep(generation(number), said, durable=True) for number in range(2)]
    late = keeper.keep(generation(3), said, durable=False)
    store.close()
    (tmp_path / "regulars.db").unlink()
    keeper.store_some()

    assert (kept, late) == ([True, False], False)
    assert (keeper.waiting, keeper.kept, keeper.dropped, keeper.lost) == (0, 0, 2, 1)
