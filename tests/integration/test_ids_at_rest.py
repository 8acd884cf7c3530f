"""How ids are kept, through the whole gateway: encrypted, after a switch, after a rotation."""

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from threading import Event
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from fakes.kept_files import kept
from fakes.provider import ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, RunningGateway, running_gateway
from regulars.cli.main import app
from regulars.config.settings import ContentSettings, IdentitySettings
from regulars.stores.identity_key import identity_keys
from regulars.stores.sqlite import open_store

USER = "canary-häuser-4711"
ENCRYPTED, PSEUDONYM = IdentitySettings("encrypted"), IdentitySettings("pseudonym")


def files_with(folder: Path, text: str) -> list[str]:
    forms = {text.encode(), json.dumps(text).encode()[1:-1]}
    return [
        name for name, content in kept(folder).items() if any(form in content for form in forms)
    ]


def run(folder: Path, *words: str) -> str:
    """Run a command on the folder's store; `words` begin with how ids are kept."""
    (folder / "regulars.toml").write_text(
        f'[store]\nurl = "sqlite:///{folder}/regulars.db"\n[identity]\nat_rest = "{words[0]}"\n'
    )
    result = CliRunner().invoke(app, [*words[1:], "--config", str(folder / "regulars.toml")])
    assert result.exit_code == 0, result.output
    return result.stdout


def users_of(gateway: RunningGateway) -> dict[str, int]:
    found = gateway.get("/api/v1/users").json["data"]
    return {one["user"]: one["requests"] for one in found}


def names(folder: Path) -> list[str]:
    store = open_store(f"sqlite:///{folder}/regulars.db")
    try:
        return store.names("default")
    finally:
        store.close()


def test_encrypted_ids_are_in_no_file_and_shown_to_managers_only(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=ENCRYPTED) as gateway,
    ):
        for _ in range(2):
            gateway.chat(user=USER)
        shown = gateway.get(f"/api/v1/generations?user={quote(USER)}").json["data"]
        hidden = gateway.get("/api/v1/generations", key=gateway.key).json["data"]
        files = files_with(tmp_path, USER)
        exported = gateway.get(f"/api/v1/activity/export?user={quote(USER)}").body.decode()
        one = gateway.get(f"/api/v1/users/{quote(USER)}").json["data"]
        listed = users_of(gateway)

    assert files == []
    assert [row["external_user"] for row in shown] == [USER, USER]
    assert all(row["external_user"].startswith("sealed_") for row in hidden)
    assert exported.count(USER) >= 2
    assert (one["user"], one["summary"]["requests"]) == (USER, 2)
    assert listed == {USER: 2}


@pytest.mark.parametrize(
    "path",
    [
        "/users?period=7d",
        "/users?period=7d&show=new",
        f"/users/{quote(USER)}",
        f"/activity?period=7d&user={quote(USER)}",
        f"/activity/export?period=7d&format=csv&user={quote(USER)}",
        "/activity/export?period=7d&format=jsonl&rows=chart&group=user",
        "/sessions/talk",
    ],
)
def test_pages_and_their_files_show_encrypted_ids_as_they_were_sent(
    tmp_path: Path, path: str
) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=ENCRYPTED) as gateway,
    ):
        gateway.chat(user=USER, session_id="talk")
        page = gateway.get(path)

    shown = page.body.decode()
    assert page.status == 200
    assert USER in shown or quote(USER) in shown
    assert "sealed_" not in shown


@pytest.mark.parametrize("settings", [ENCRYPTED, PSEUDONYM], ids=lambda one: str(one.at_rest))
def test_what_was_said_is_kept_under_the_same_name_and_erased(
    tmp_path: Path, settings: IdentitySettings
) -> None:
    content = ContentSettings(enabled=True)
    body = b'{"name": "kept", "content_share": 1.0}'
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=settings, content=content) as gateway,
    ):
        made = gateway.request("POST", "/api/v1/keys", body, key=gateway.management_key)
        chat = json.dumps({"model": MODEL, "messages": HELLO, "user": USER}).encode()
        gateway.request("POST", "/api/v1/chat/completions", chat, key=made.json["key"])
        waited = until_said(tmp_path)
        files = files_with(tmp_path, USER)
        erased = gateway.request(
            "DELETE", f"/api/v1/users/{quote(USER)}", key=gateway.management_key
        )

    assert waited
    assert files == []
    assert erased.json["data"]["contents"] == 1


def until_said(folder: Path) -> bool:
    """Wait until something that was said is kept: it is written after its row."""
    pause, until_s = Event(), time.monotonic() + 5.0
    with closing(sqlite3.connect(folder / "regulars.db")) as connection:
        while time.monotonic() < until_s:
            if connection.execute("SELECT count(*) FROM content").fetchone() != (0,):
                return True
            pause.wait(0.01)
    return False


def test_an_encrypted_id_is_erased(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=ENCRYPTED) as gateway,
    ):
        gateway.chat(user=USER)
        erased = gateway.request(
            "DELETE", f"/api/v1/users/{quote(USER)}", key=gateway.management_key
        )
        listed = users_of(gateway)

    assert erased.json["data"]["generations"] == 1
    assert list(listed) == ["erased-1"]


@pytest.mark.parametrize("settings", [ENCRYPTED, PSEUDONYM], ids=lambda one: str(one.at_rest))
def test_rows_of_before_a_switch_are_found_and_brought_to_it(
    tmp_path: Path, settings: IdentitySettings
) -> None:
    with ScriptedProvider() as provider:
        with running_gateway(tmp_path, [provider]) as plain:
            plain.chat(user=USER)
            plain.chat(user="other")
            keys = (plain.key, plain.management_key)
        with running_gateway(tmp_path, [provider], identity=settings, keys=keys) as gateway:
            before = gateway.get(f"/api/v1/users/{quote(USER)}").json["data"]["summary"]["requests"]
            gateway.chat(user=USER)
            run(tmp_path, settings.at_rest, "identity", "apply")
            gateway.chat(user=USER)
            after = gateway.get(f"/api/v1/users/{quote(USER)}").json["data"]["summary"]["requests"]
        files = files_with(tmp_path, USER)

    assert (before, after) == (1, 3)
    assert files == []
    assert len(names(tmp_path)) == 2


def test_a_rotation_encrypts_anew_and_the_old_key_may_go(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        with running_gateway(tmp_path, [provider], identity=ENCRYPTED) as gateway:
            gateway.chat(user=USER)
            keys = (gateway.key, gateway.management_key)
        before = names(tmp_path)
        run(tmp_path, "encrypted", "identity", "rotate")
        rotated = names(tmp_path)
        run(tmp_path, "encrypted", "identity", "retire")
        with running_gateway(tmp_path, [provider], identity=ENCRYPTED, keys=keys) as gateway:
            gateway.chat(user=USER)
            listed = users_of(gateway)

    assert rotated != before
    assert names(tmp_path) == rotated
    assert listed == {USER: 2}
    assert len(identity_keys(tmp_path / "regulars.db")) == 1


def test_pseudonyms_change_as_people_come_after_a_rotation(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        with running_gateway(tmp_path, [provider], identity=PSEUDONYM) as gateway:
            gateway.chat(user=USER)
            gateway.chat(user="stays away")
            keys = (gateway.key, gateway.management_key)
        before = names(tmp_path)
        run(tmp_path, "pseudonym", "identity", "rotate")
        with running_gateway(tmp_path, [provider], identity=PSEUDONYM, keys=keys) as gateway:
            away = gateway.get("/api/v1/users/stays%20away").json["data"]["summary"]["requests"]
            gateway.chat(user=USER)
        after = names(tmp_path)
        with running_gateway(tmp_path, [provider], identity=PSEUDONYM, keys=keys) as gateway:
            came = gateway.get(f"/api/v1/users/{quote(USER)}").json["data"]["summary"]["requests"]

    assert (away, came) == (1, 2)
    assert len(after) == 2
    assert len(set(after) & set(before)) == 1


def test_two_ids_of_one_person_are_made_one(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=ENCRYPTED) as gateway,
    ):
        gateway.chat(user="old-id")
        gateway.chat(user="new-id")
        run(tmp_path, "encrypted", "users", "alias", "old-id", "new-id")
        gateway.chat(user="old-id")
        listed = users_of(gateway)
        asked = gateway.get("/api/v1/users/old-id").json["data"]["summary"]["requests"]

    assert listed == {"new-id": 3}
    assert asked == 3
