"""Two accounts in one store: the same id is two users, and neither reads or bills the other's."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.provider import ScriptedProvider
from fakes.running_gateway import RunningGateway, running_gateway
from regulars.app import new_key
from regulars.model.caller import Role
from regulars.stores.base import Filter
from regulars.stores.sqlite import open_store


@pytest.fixture
def both(tmp_path: Path) -> Generator[tuple[RunningGateway, str, str]]:
    """A gateway in which user `ada` asked twice by our key and once by the other account's."""
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        store = open_store(gateway.settings.store.url)
        secrets: list[str] = []
        for role in (Role.INFERENCE, Role.MANAGEMENT):
            key, secret = new_key("other", role)
            store.create_key(replace(key, account="other"))
            secrets.append(secret)
        store.close()
        ours = gateway.key
        for each in (ours, ours, secrets[0]):
            gateway.key = each
            assert gateway.chat(user="ada").status == 200
        gateway.key = ours
        yield gateway, secrets[0], secrets[1]


def requests_of(gateway: RunningGateway, manager: str) -> int:
    found = gateway.get("/api/v1/users/ada", key=manager).json["data"]
    return found["summary"]["requests"]


def test_each_account_has_its_own_ada(both: tuple[RunningGateway, str, str]) -> None:
    gateway, _, manager = both

    assert requests_of(gateway, gateway.management_key) == 2
    assert requests_of(gateway, manager) == 1


def test_neither_reads_the_others(both: tuple[RunningGateway, str, str]) -> None:
    gateway, other, manager = both
    own = gateway.get("/api/v1/key").json["data"]["hash"]
    ids = [row.id for row in gateway.rows()]

    read = [
        gateway.get(f"/api/v1/generation?id={one}", key=each).status
        for one in ids
        for each in (other, manager)
    ]
    listed = gateway.get("/api/v1/generations", key=manager).json["data"]
    key = gateway.get(f"/api/v1/keys/{own}", key=manager)
    report = gateway.get("/api/v1/identifiers", key=manager).json["data"]

    assert read == [404] * 4
    assert len(listed) == 1
    assert key.status == 404
    assert report["users"] == 1


def test_erasing_ones_user_leaves_the_others(both: tuple[RunningGateway, str, str]) -> None:
    gateway, _, manager = both

    erased = gateway.request("DELETE", "/api/v1/users/ada", key=manager).json["data"]
    store = open_store(gateway.settings.store.url)
    others = store.generations(Filter("other"), limit=10, before=None)[0]
    store.close()

    assert erased["generations"] == 1
    assert requests_of(gateway, gateway.management_key) == 2
    assert [row.end_user for row in others] == ["erased-1"]


def test_a_policy_of_another_account_cannot_be_changed(
    both: tuple[RunningGateway, str, str],
) -> None:
    gateway, _, manager = both
    own = gateway.get("/api/v1/key", key=gateway.key).json["data"]["hash"]
    body = b'{"user_policy": "fixed", "external_user": "theirs"}'

    changed = gateway.request("PATCH", f"/api/v1/keys/{own}", body, key=manager)

    assert changed.status == 404
    assert gateway.chat(user="ada").status == 200
    assert gateway.rows()[-1].end_user == "ada"
