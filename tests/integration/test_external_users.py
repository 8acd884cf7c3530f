"""/external-users as OpenRouter has it: register, get, turn off and on, over people of the ledger."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.kept_files import kept
from fakes.provider import ScriptedProvider
from fakes.running_gateway import Answer, RunningGateway, running_gateway
from regulars.cli.main import app
from regulars.config.settings import IdentitySettings
from regulars.stores.sqlite import open_store

PATH = "/api/v1/external-users"


@pytest.fixture(params=["plain", "pseudonym", "encrypted"])
def gateway(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[RunningGateway]:
    kept = IdentitySettings(request.param)
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=kept) as running,
    ):
        yield running


def ask(gateway: RunningGateway, method: str, path: str = "", body: object = None) -> Answer:
    sent = None if body is None else json.dumps(body).encode()
    return gateway.request(method, PATH + path, sent, key=gateway.management_key)


def test_a_user_is_registered_once(gateway: RunningGateway) -> None:
    made = ask(gateway, "POST", body={"user": "ada/1"})
    again = ask(gateway, "POST", body={"user": "ada/1"})
    found = ask(gateway, "GET", "/ada%2F1")

    assert (made.status, again.status, found.status) == (201, 409, 200)
    assert made.json["data"] == found.json["data"]
    assert made.json["data"]["user"] == "ada/1"
    assert made.json["data"]["is_active"] is True


def test_who_was_named_is_known_without_being_registered(gateway: RunningGateway) -> None:
    gateway.chat(user="named")

    assert ask(gateway, "GET", "/named").json["data"]["is_active"] is True
    assert ask(gateway, "POST", body={"user": "named"}).status == 409
    assert ask(gateway, "GET", "/stranger").status == 404


def test_turned_off_is_hidden_kept_and_revived(gateway: RunningGateway) -> None:
    gateway.chat(user="ada")
    ask(gateway, "POST", body={"user": "bob"})

    gone = [ask(gateway, "DELETE", "/ada"), ask(gateway, "DELETE", "/ada")]
    seen = ask(gateway, "GET").json
    everyone = ask(gateway, "GET", "?include_inactive=true").json
    off = ask(gateway, "GET", "/ada").json["data"]["is_active"]
    served = gateway.chat(user="ada").status
    back = ask(gateway, "PATCH", "/ada", {"is_active": True}).json["data"]

    assert [answer.status for answer in gone] == [204, 204]
    assert gone[0].body == b""
    assert len(seen["data"]) == seen["total_count"] == 1
    assert seen["data"][0]["user"] == "bob" or seen["data"][0]["user"].startswith("person_")
    assert everyone["total_count"] == len(everyone["data"]) == 2
    assert (off, served, back["is_active"]) == (False, 200, True)


def test_what_is_wrong_is_named(gateway: RunningGateway) -> None:
    answers = [
        ask(gateway, "POST", body={"user": " ada"}),
        ask(gateway, "POST", body={"user": "a\0b"}),
        ask(gateway, "POST", body={"name": "ada"}),
        ask(gateway, "PATCH", "/stranger", {"is_active": True}),
        ask(gateway, "PATCH", "/stranger", {"is_active": "yes"}),
        ask(gateway, "DELETE", "/stranger"),
        ask(gateway, "GET", "?include_inactive=maybe"),
        gateway.request("POST", PATH, b'{"user": "x"}', key=gateway.key),
    ]

    assert [answer.status for answer in answers] == [400, 400, 400, 404, 400, 404, 400, 403]


def test_a_display_name_stands_beside_the_id_and_goes_with_it(tmp_path: Path) -> None:
    shown = "Ada Canary-Lovelace"
    encrypted = IdentitySettings("encrypted")
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=encrypted) as gateway,
    ):
        gateway.chat(user="u-1")
        named = ask(gateway, "PATCH", "/u-1", {"display_name": shown}).json["data"]
        off = ask(gateway, "PATCH", "/u-1", {"is_active": False}).json["data"]
        one = gateway.get("/api/v1/users/u-1").json["data"]
        listed = gateway.get("/api/v1/users").json["data"]
        page = gateway.get("/users/u-1").body.decode()
        written = b"".join(kept(tmp_path).values())
        gone = gateway.request("DELETE", "/api/v1/users/u-1", key=gateway.management_key)
        after = gateway.get("/api/v1/users").json["data"]

    assert (named["display_name"], off["display_name"], off["is_active"]) == (shown, shown, False)
    assert one["display_name"] == shown
    assert [user["display_name"] for user in listed] == [shown]
    assert shown in page
    assert shown.encode() not in written
    assert gone.json["data"]["occurrences_left"] == 0
    assert [user["display_name"] for user in after] == [None]


def test_no_display_name_is_kept_where_ids_are_pseudonyms(tmp_path: Path) -> None:
    pseudonyms = IdentitySettings("pseudonym")
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=pseudonyms) as gateway,
    ):
        refused = ask(gateway, "POST", "", {"user": "u-1", "display_name": "Ada L."})

    assert refused.status == 400
    assert "display_name" in refused.json["error"]["message"]
    assert "Ada" not in refused.body.decode()


def test_the_command_line_gives_and_takes_display_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_STORE_URL", f"sqlite:///{tmp_path}/x.db")
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke

    named = run(app, ["users", "name", "u-1", "Ada L."])
    store = open_store(f"sqlite:///{tmp_path}/x.db")
    called = store.display_names("default", ["u-1", "u-2"])
    taken = run(app, ["users", "name", "u-1"])
    after = store.display_names("default", ["u-1"])
    store.close()

    assert (named.exit_code, taken.exit_code) == (0, 0)
    assert called == {"u-1": "Ada L."}
    assert after == {}
