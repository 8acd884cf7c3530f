"""One user's id, sent by every path: found afterwards only where the way of keeping ids allows."""

import json
import logging
import sqlite3
import time
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import Any, Literal
from urllib.parse import quote

import pytest

from fakes.kept_files import kept
from fakes.provider import Script, ScriptedProvider, error_script
from fakes.raw_client import RawClient, chat_request
from fakes.running_gateway import RunningGateway, running_gateway
from fakes.served_process import ServedProcess, config_text, served_process
from regulars.config.settings import ContentSettings, IdentitySettings

CANARY = "canary-häuser-4711"
FORMS = (CANARY.encode(), json.dumps(CANARY).encode()[1:-1], quote(CANARY).encode())
WAIT_S = 60.0
AtRest = Literal["plain", "pseudonym", "encrypted"]
MODES: tuple[AtRest, ...] = ("plain", "pseudonym", "encrypted")


def told(data: bytes) -> bool:
    return any(form in data for form in FORMS)


def files_that_tell(folder: Path) -> set[str]:
    return {name for name, content in kept(folder).items() if told(content)}


def send_by_every_path(gateway: RunningGateway) -> list[bytes]:
    """Name the user in all ways, in requests that go well and that do not; return the answers."""
    harness = {"user_id": json.dumps({"device_id": CANARY, "session_id": "s"})}
    answers = [
        gateway.chat(user=CANARY),
        gateway.chat(user=CANARY, stream=True),
        gateway.chat(safety_identifier=CANARY),
        gateway.chat(metadata={"user_id": CANARY}),
        gateway.chat(metadata=harness),
        gateway.chat(headers={"X-Regulars-User": CANARY.encode().decode("latin-1")}),
        gateway.chat(user=CANARY, prompt_cache_key=f"for {CANARY}"),
        gateway.chat(user=CANARY, model="no/such"),
        gateway.chat(user=CANARY, provider={"only": ["nobody"]}),
        gateway.chat(user=f"{CANARY}\n"),
        gateway.chat(user=CANARY * 40),
        gateway.chat(user=CANARY, headers={"X-Regulars-User-Proof": CANARY.encode().hex()}),
    ]
    with RawClient(gateway.port) as client:  # leaves in the middle
        client.send(chat_request(gateway, user=CANARY, stream=True)[:-5])
        client.reset()
    return [answer.body for answer in answers]


@pytest.mark.parametrize("at_rest", MODES)
def test_the_id_is_only_where_it_may_be(
    tmp_path: Path, at_rest: AtRest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = {"identity": IdentitySettings(at_rest), "content": ContentSettings(enabled=True)}
    with (
        ScriptedProvider() as good,
        ScriptedProvider(default=error_script(500, "no")) as bad,
        running_gateway(tmp_path, [good, bad], **settings) as gateway,  # type: ignore[arg-type]
    ):
        answers = send_by_every_path(gateway)
        sent = b"".join(repr(one).encode() for provider in (good, bad) for one in provider.requests)
        metrics = gateway.get("/metrics").body
        health = gateway.get("/api/v1/identifiers").body + gateway.get("/identifiers").body
        seen_by_callers = gateway.get("/api/v1/generations", key=gateway.key).body
        seen_by_managers = {
            path: gateway.get(path).body
            for path in (
                "/api/v1/generations",
                "/api/v1/users",
                "/api/v1/activity/export",
                "/users?period=7d",
                "/activity?period=7d&group=user",
            )
        }
        rows = len(gateway.rows())
        files = files_that_tell(tmp_path)

    assert rows >= 7
    assert not any(map(told, answers))
    assert not told(sent)
    assert not told(metrics)
    assert not told(health)
    assert not told(caplog.text.encode())
    assert told(seen_by_callers) == (at_rest == "plain")
    assert {told(body) for body in seen_by_managers.values()} == {at_rest != "pseudonym"}
    assert bool(files) == (at_rest == "plain")
    assert bool(files_that_tell(tmp_path)) == (at_rest == "plain")


@pytest.mark.parametrize("at_rest", MODES)
def test_a_crash_with_rows_that_wait_leaves_it_only_where_it_may_be(
    tmp_path: Path, at_rest: AtRest
) -> None:
    with ScriptedProvider() as quick, ScriptedProvider(default=Script(body_delay_s=60)) as slow:
        more = f'[identity]\nat_rest = "{at_rest}"\n'
        config = config_text(tmp_path, {"p0": quick.url, "p1": slow.url}, more=more)
        with served_process(tmp_path, config) as gateway:
            gateway.chat(user="first", provider={"only": ["p0"]})
            with closing(sqlite3.connect(tmp_path / "regulars.db")) as other:
                other.execute("BEGIN IMMEDIATE")  # the ledger takes no row now
                asking = [
                    Thread(target=ask, args=(gateway, name)) for name in ("p0", "p1", "p0", "p1")
                ]
                for thread in asking:
                    thread.start()
                until(lambda: len(slow.requests) == 2 and len(quick.requests) == 3)
                time.sleep(0.2)  # the journal is written behind the request
                waiting = files_that_tell(tmp_path)
                gateway.process.kill()
                gateway.process.wait(WAIT_S)
                for thread in asking:
                    thread.join(WAIT_S)
                left = files_that_tell(tmp_path)
                other.rollback()
        with served_process(tmp_path, config) as again:
            until(lambda: len(again.rows()) >= 3)
            names = {row.end_user for row in again.rows()}
            log = "".join([*gateway.log.lines, *again.log.lines])
        after = files_that_tell(tmp_path)

    assert len(names) == 2  # of the first, and all of hers
    assert (CANARY in names) == (at_rest == "plain")
    assert not told(log.encode())
    assert bool(waiting | left | after) == (at_rest == "plain")


def ask(gateway: ServedProcess, provider: str) -> None:
    try:
        gateway.chat(user=CANARY, session_id="talk", provider={"only": [provider]})
    except (OSError, HTTPException):
        return  # killed in the middle of its answer


def until(so: Any) -> None:
    until_s = time.monotonic() + WAIT_S
    while not so():
        assert time.monotonic() < until_s
        time.sleep(0.02)
