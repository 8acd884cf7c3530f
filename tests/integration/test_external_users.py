"""/external-users as OpenRouter has it: register, get, turn off and on, over people of the ledger."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from fakes.provider import ScriptedProvider
from fakes.running_gateway import Answer, RunningGateway, running_gateway
from regulars.config.settings import IdentitySettings

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
