"""The keys API against the running gateway: made, listed, changed, deleted, and who may."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from fakes.provider import ScriptedProvider
from fakes.running_gateway import Answer, RunningGateway, running_gateway
from regulars.config.settings import ContentSettings
from regulars.stores.sqlite import open_store

KEYS = "/api/v1/keys"


@pytest.fixture
def gateway(tmp_path: Path) -> Generator[RunningGateway]:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as running:
        yield running


def send(gateway: RunningGateway, method: str, path: str, **fields: Any) -> Answer:
    body = json.dumps(fields).encode() if fields else None
    return gateway.request(method, path, body, key=gateway.management_key)


def make(gateway: RunningGateway, **fields: Any) -> tuple[dict[str, Any], str]:
    got = send(gateway, "POST", KEYS, **{"name": "shop", **fields})
    assert got.status == 201, got.body
    return got.json["data"], got.json["key"]


def test_a_key_is_made_used_and_found(gateway: RunningGateway) -> None:
    made, secret = make(gateway, limit=1.5, limit_reset="monthly", creator_user_id="u1")
    used = gateway.request("POST", "/api/v1/chat/completions", b"{}", key=secret)
    found = gateway.get(f"{KEYS}/{made['hash']}").json["data"]

    assert used.status == 400  # it let us in: the body was read
    assert secret.startswith("sk-reg-")
    assert (made["limit"], made["limit_remaining"], made["limit_reset"]) == (1.5, 1.5, "monthly")
    assert (made["creator_user_id"], made["role"], made["disabled"]) == ("u1", "inference", False)
    assert found == made
    assert secret not in json.dumps(gateway.get(KEYS).json)


def test_a_change_says_only_what_changes(gateway: RunningGateway) -> None:
    made, _ = make(gateway, limit=2, include_byok_in_limit=True)

    renamed = send(gateway, "PATCH", f"{KEYS}/{made['hash']}", name="stall").json["data"]
    freed = send(gateway, "PATCH", f"{KEYS}/{made['hash']}", limit=None).json["data"]

    assert (renamed["name"], renamed["limit"], renamed["include_byok_in_limit"]) == (
        "stall",
        2,
        True,
    )
    assert renamed["updated_at"] is not None
    assert (freed["name"], freed["limit"], freed["limit_remaining"]) == ("stall", None, None)


def test_a_deleted_key_is_gone(gateway: RunningGateway) -> None:
    made, _ = make(gateway)

    deleted = send(gateway, "DELETE", f"{KEYS}/{made['hash']}")

    assert (deleted.status, deleted.json) == (200, {"deleted": True})
    assert gateway.get(f"{KEYS}/{made['hash']}").status == 404
    assert send(gateway, "DELETE", f"{KEYS}/{made['hash']}").status == 404
    assert send(gateway, "PATCH", f"{KEYS}/{made['hash']}", name="x").status == 404


def test_lists_are_paged_and_leave_disabled_keys_out(gateway: RunningGateway) -> None:
    hashes = [make(gateway, name=f"key {number}")[0]["hash"] for number in range(101)]
    send(gateway, "PATCH", f"{KEYS}/{hashes[0]}", disabled=True)

    first = gateway.get(KEYS).json["data"]
    rest = gateway.get(f"{KEYS}?offset=100").json["data"]
    all_ = gateway.get(f"{KEYS}?include_disabled=true&offset=100").json["data"]

    assert len(first) == 100
    assert len(rest) == 2
    assert len(all_) == 3  # the gateway's own two keys stand before
    assert hashes[0] not in [key["hash"] for key in first + rest]


def test_an_expired_key_is_listed_only_when_asked_for(gateway: RunningGateway) -> None:
    made, secret = make(gateway, expires_at="2999-01-01T00:00:00Z")
    store = open_store(gateway.settings.store.url)
    key = store.find_key(made["hash"])
    assert key is not None
    store.close()

    assert made["expires_at"].startswith("2999-01-01T00:00:00")
    assert key.is_expired(key.terms.expires_at_ms or 0)
    assert gateway.get("/api/v1/key", key=secret).json["data"]["expires_at"] == made["expires_at"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"limit": -1}, "limit"),
        ({"limit": 1e12}, "limit"),
        ({"limit": "NaN"}, "limit"),
        ({"limit_reset": "hourly"}, "limit_reset"),
        ({"expires_at": "2999-01-01T00:00Z"}, "expires_at"),
        ({"expires_at": "2999-13-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "past"),
        ({"content_share": 1.5}, "content_share"),
        ({"content_share": 0.5}, "enabled is false"),
        ({"external": {"user": ""}}, "external"),
        ({"external": {}}, "external"),
        ({"external": {"user": "ann", "name": "Ann"}}, "external"),
        ({"external": {"user": "ann", "api_key": "x" * 32}}, "external.api_key"),
        ({"external": {"user": "ann"}, "external_user": "bob"}, "external.user"),
        ({"external": {"user": "ann"}, "user_policy": "client"}, "external"),
        ({"disabled": True}, "disabled"),
        ({"made_up": 1}, "made_up"),
    ],
)
def test_what_makes_no_sense_is_refused(
    gateway: RunningGateway, fields: dict[str, Any], words: str
) -> None:
    got = send(gateway, "POST", KEYS, **{"name": "shop", **fields})

    assert got.status == 400
    assert words in got.json["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'{"limit":1}', b"\xff", b"[" * 5000])
def test_a_body_that_is_none_is_refused(gateway: RunningGateway, body: bytes) -> None:
    got = gateway.request("POST", KEYS, body, key=gateway.management_key)

    assert got.status == 400


def test_only_management_keys_manage(gateway: RunningGateway) -> None:
    made, secret = make(gateway)
    path = f"{KEYS}/{made['hash']}"

    refused = [
        gateway.request(method, at, b'{"name":"x"}', key=secret)
        for method, at in (
            ("GET", KEYS),
            ("POST", KEYS),
            ("GET", path),
            ("PATCH", path),
            ("DELETE", path),
        )
    ]

    assert [got.status for got in refused] == [403] * 5
    assert gateway.request("GET", KEYS).status == 401


def test_a_management_key_cannot_lock_itself_out(gateway: RunningGateway) -> None:
    own = gateway.get("/api/v1/key").json["data"]["hash"]

    disabled = send(gateway, "PATCH", f"{KEYS}/{own}", disabled=True)
    deleted = send(gateway, "DELETE", f"{KEYS}/{own}")

    assert (disabled.status, deleted.status) == (409, 409)
    assert gateway.get(KEYS).status == 200


def test_contents_may_be_asked_for_where_they_are_kept(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], content=ContentSettings(enabled=True)) as gateway,
    ):
        made, _ = make(gateway, content_share=0.5)

    assert made["content_share"] == 0.5


def test_changes_are_on_record_with_their_author(gateway: RunningGateway) -> None:
    made, _ = make(gateway)
    send(gateway, "PATCH", f"{KEYS}/{made['hash']}", limit=3)
    send(gateway, "DELETE", f"{KEYS}/{made['hash']}")
    own = gateway.get("/api/v1/key").json["data"]["hash"]

    store = open_store(gateway.settings.store.url)
    changes = [change for change in store.key_changes(10) if change.key_hash == made["hash"]]
    store.close()

    assert [(change.action, change.actor) for change in changes] == [
        ("deleted", own),
        ("changed", own),
        ("created", own),
    ]
    assert changes[1].details == {"limit_nanousd": [None, 3_000_000_000]}
