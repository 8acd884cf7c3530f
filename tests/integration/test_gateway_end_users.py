"""Who requests are for, through the whole gateway: sources, policies, what the ledger keeps."""

import json
import time
from pathlib import Path

from fakes.kept_files import kept
from fakes.provider import ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, RunningGateway, running_gateway
from regulars.app import new_key
from regulars.config.settings import IdentitySettings
from regulars.identity.policy import make_policy
from regulars.ids import prove_user
from regulars.model.caller import Role, UserPolicy
from regulars.stores.sqlite import open_store

SECRET = "a signing secret of more than thirty-two bytes"


def made_key(gateway: RunningGateway, users: UserPolicy) -> str:
    key, secret = new_key("app", Role.INFERENCE, users=users)
    store = open_store(gateway.settings.store.url)
    try:
        store.create_key(key)
    finally:
        store.close()
    return secret


def test_every_source_reaches_the_ledger(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        gateway.chat(user="a")
        gateway.chat(safety_identifier="b")
        gateway.chat(metadata={"user_id": "user_x_account_c_session_s-1"})
        gateway.chat(headers={"X-Regulars-User": "d"})
        gateway.chat()

        rows = gateway.rows()

    assert [row.end_user for row in rows] == ["a", "b", "c", "d", None]
    assert rows[2].session == "s-1"


def test_a_signed_key_serves_only_proven_users(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        gateway.key = made_key(gateway, make_policy("signed", secret=SECRET))
        proof = prove_user("u-1", SECRET, expires_at_s=int(time.time()) + 60)
        header = {"X-Regulars-User-Proof": proof}

        good = gateway.chat(user="u-1", headers=header)
        other = gateway.chat(user="u-2", headers=header)
        none = gateway.chat(user="u-1")

        assert [good.status, other.status, none.status] == [200, 403, 403]
        assert [row.end_user for row in gateway.rows()] == ["u-1"]
        assert "u-2" not in other.body.decode()


def test_a_fixed_key_bills_its_own_user(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        gateway.key = made_key(gateway, make_policy("fixed", user="kiosk"))

        gateway.chat(user="somebody-else")

        assert [row.end_user for row in gateway.rows()] == ["kiosk"]


def test_a_user_named_in_two_headers_is_refused(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        body = json.dumps({"model": MODEL, "messages": HELLO})
        with gateway.connect() as connection:
            connection.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                f"Authorization: Bearer {gateway.key}\r\nX-Regulars-User: a\r\n"
                f"x-regulars-user: b\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            answer = connection.makefile("rb").read()

        assert b" 400 " in answer.split(b"\r\n")[0]
        assert b"more than once" in answer
        assert gateway.rows() == []


def test_a_key_may_refuse_personal_ids(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        gateway.key = made_key(gateway, make_policy(personal="refuse"))

        answer = gateway.chat(user="jane@example.com")

        assert answer.status == 400
        assert "an e-mail address" in answer.json["error"]["message"]
        assert b"jane" not in answer.body


def test_pseudonyms_at_rest_leave_no_id_in_any_file(tmp_path: Path) -> None:
    pseudonyms = IdentitySettings(at_rest="pseudonym")
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=pseudonyms) as gateway,
    ):
        gateway.chat(user="canary-4711")
        gateway.chat(user="canary-4711")
        found = gateway.get("/api/v1/generations?user=canary-4711").json["data"]
        files = [name for name, content in kept(tmp_path).items() if b"canary" in content]
        erased = gateway.request("DELETE", "/api/v1/users/canary-4711", key=gateway.management_key)

    assert files == []
    assert len(found) == 2
    assert found[0]["external_user"].startswith("person_")
    assert erased.json["data"]["generations"] == 2


def test_new_users_of_one_key_are_bounded(tmp_path: Path) -> None:
    bound = IdentitySettings(new_users_per_hour_max=3)
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=bound) as gateway,
    ):
        answers = [gateway.chat(user=f"u-{number}") for number in range(6)]

    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429, 429]
    assert int(answers[-1].headers["retry-after"]) <= 3600


def test_the_identifier_report_is_for_management_keys(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        gateway.chat(user="jane@example.com")
        good = gateway.get("/api/v1/identifiers")
        refused = gateway.get("/api/v1/identifiers", key=gateway.key)

    found = {one["finding"]: one for one in good.json["data"]["found"]}
    assert found["personal"]["requests_share"] == 1.0
    assert b"jane" not in good.body
    assert refused.status == 403
