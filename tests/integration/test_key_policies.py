"""Who names the users of a key, said and changed through the keys API and the command line."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fakes.kept_files import kept
from fakes.provider import ScriptedProvider
from fakes.running_gateway import Answer, RunningGateway, running_gateway
from regulars.cli.main import app
from regulars.config.settings import IdentitySettings
from regulars.ids import prove_user
from regulars.stores.sqlite import open_store

KEYS = "/api/v1/keys"
USER = "canary-kiosk-4711"


def send(gateway: RunningGateway, method: str, path: str = "", **fields: Any) -> Answer:
    body = json.dumps(fields).encode()
    return gateway.request(method, KEYS + path, body, key=gateway.management_key)


def files_with(folder: Path, text: str) -> list[str]:
    return [name for name, content in kept(folder).items() if text.encode() in content]


def test_a_signed_key_is_made_used_and_given_another_secret(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        made = send(gateway, "POST", name="web", user_policy="signed").json
        path = f"/{made['data']['hash']}"
        shown_again = send(gateway, "PATCH", path, name="web app").json
        gateway.key = made["key"]
        proof = prove_user("u-1", made["signing_secret"], expires_at_s=int(time.time()) + 60)
        served = gateway.chat(user="u-1", headers={"X-Regulars-User-Proof": proof})
        renewed = send(gateway, "PATCH", path, new_signing_secret=True).json

        files = [*files_with(tmp_path, made["signing_secret"])]

    assert served.status == 200
    assert "signing_secret" not in shown_again
    assert renewed["signing_secret"] != made["signing_secret"]
    names = [one["data"]["signing_secret_name"] for one in (made, shown_again, renewed)]
    assert names[0] == names[1] != names[2]
    assert files == []


def test_what_a_change_does_not_say_stays(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        made = send(
            gateway, "POST", name="a", user_policy="prefix", user_prefix="shop:",
            user_sources=["x-regulars-user"], personal_ids="refuse", new_users_per_hour=9,
        ).json["data"]  # fmt: skip
        path = f"/{made['hash']}"
        kept = send(gateway, "PATCH", path, new_users_per_hour=None).json["data"]
        fixed = send(gateway, "PATCH", path, user_policy="fixed", external_user="kiosk").json[
            "data"
        ]
        store = open_store(gateway.settings.store.url)
        changes = store.key_changes(2, key_hash=made["hash"])
        store.close()

    said = ("user_policy", "user_prefix", "user_sources", "personal_ids", "new_users_per_hour")
    assert [made[name] for name in said] == ["prefix", "shop:", ["x-regulars-user"], "refuse", 9]
    assert [kept[name] for name in said] == ["prefix", "shop:", ["x-regulars-user"], "refuse", None]
    assert [fixed[name] for name in said] == ["fixed", None, ["x-regulars-user"], "refuse", None]
    assert fixed["external_user"] == "kiosk"
    assert changes[0].details == {
        "external_user": [None, "(not shown)"],
        "user_policy": ["prefix", "fixed"],
        "user_prefix": ["shop:", None],
    }


def test_openrouters_external_makes_a_key_of_one_user(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        made = send(gateway, "POST", name="a", external={"user": USER}).json
        path = f"/{made['data']['hash']}"
        again = send(gateway, "PATCH", path, external={"user": "other"})
        gateway.key = made["key"]
        gateway.chat(user="somebody-else")
        rows = gateway.rows()

    assert (made["data"]["user_policy"], made["data"]["external_user"]) == ("fixed", USER)
    assert again.status == 400
    assert {row.end_user for row in rows} == {USER}


def test_a_key_whose_user_was_erased_can_still_be_renamed(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        made = send(gateway, "POST", name="a", user_policy="fixed", external_user=USER).json
        gateway.request("DELETE", f"/api/v1/users/{USER}", key=gateway.management_key)

        renamed = send(gateway, "PATCH", f"/{made['data']['hash']}", name="old kiosk")

    assert renamed.status == 200
    assert renamed.json["data"]["external_user"] is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"user_policy": "nobody"}, "user_policy"),
        ({"user_policy": "fixed"}, "external_user: is missing"),
        ({"user_prefix": "a"}, "user_prefix: does not belong"),
        ({"user_sources": []}, "user_sources"),
        ({"user_sources": ["user", "user"]}, "user_sources"),
        ({"personal_ids": "hide"}, "personal_ids"),
        ({"new_users_per_hour": 0}, "new_users_per_hour"),
        ({"new_signing_secret": True}, "new_signing_secret"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_a_policy_that_cannot_work_is_refused_by_field(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        got = send(gateway, "POST", name="a", **fields)

    assert got.status == 400
    assert said in got.json["error"]["message"]


@pytest.mark.parametrize("at_rest", ["pseudonym", "encrypted"])
def test_a_fixed_user_stands_in_no_file_where_ids_are_hidden(tmp_path: Path, at_rest: Any) -> None:
    settings = IdentitySettings(at_rest)
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=settings) as gateway,
    ):
        by_others = gateway.chat(user=USER)
        made = send(gateway, "POST", name="a", user_policy="fixed", external_user=USER).json
        gateway.key = made["key"]
        by_fixed = gateway.chat(user="somebody-else")
        files = files_with(tmp_path, USER)
        rows = gateway.rows()
        erased = gateway.request("DELETE", f"/api/v1/users/{USER}", key=gateway.management_key)
        after = gateway.get(f"{KEYS}/{made['data']['hash']}").json["data"]
        store = open_store(gateway.settings.store.url)
        change = store.key_changes(1, key_hash=made["data"]["hash"])[0]
        store.close()
        manager = gateway.get("/api/v1/key").json["data"]["hash"]

    assert (by_others.status, by_fixed.status) == (200, 200)
    assert len({row.end_user for row in rows}) == 1
    assert files == []
    assert (made["data"]["external_user"] == USER) == (at_rest == "encrypted")
    assert erased.json["data"]["generations"] == 2
    assert (after["disabled"], after["external_user"]) == (True, None)
    assert (change.action, change.actor) == ("changed", manager)
    assert change.details == {"disabled": [False, True], "external_user": ["(not shown)", None]}


def test_the_command_line_sets_limits_and_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_STORE_URL", f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.chdir(tmp_path)

    def keys(*words: str) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["keys", *words, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    made = keys("create", "--name", "a", "--limit", "12.5", "--reset", "monthly")
    signed = keys("set", made["hash"], "--user-policy", "signed", "--limit", "none")
    named = keys("set", made["hash"], "--user-policy", "prefix", "--user-prefix", "s:")
    slow = keys("set", made["hash"], "--disable", "--reset", "none", "--new-users-per-hour", "7")

    assert (made["limit"], made["limit_reset"], made["user_policy"]) == (12.5, "monthly", "client")
    assert (signed["limit"], signed["user_policy"]) == (None, "signed")
    assert len(signed["signing_secret"]) >= 32
    assert (named["user_policy"], named["user_prefix"]) == ("prefix", "s:")
    assert "signing_secret" not in named
    assert (slow["disabled"], slow["limit_reset"], slow["new_users_per_hour"]) == (True, None, 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--limit", "a lot"), "--limit"),
        (("--limit", "-1"), "--limit"),
        (("--reset", "hourly"), "--reset"),
        (("--expires", "tomorrow"), "--expires"),
        (("--user-policy", "fixed"), "--user"),
        (("--user-sources", "cookie"), "--user-sources"),
        (("--new-users-per-hour", "few"), "--new-users-per-hour"),
    ],
)
def test_the_command_line_names_the_option_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str], said: str
) -> None:
    monkeypatch.setenv("REGULARS_STORE_URL", f"sqlite:///{tmp_path}/ledger.db")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["keys", "create", "--name", "a", *words])

    assert result.exit_code == 2
    assert said in result.stderr
