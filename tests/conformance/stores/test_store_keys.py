"""Keys and secrets."""

from dataclasses import replace

import pytest

from regulars.identity.policy import make_policy
from regulars.model.caller import ApiKey, Role
from regulars.stores.base import StoreError
from regulars.stores.sqlite import SqliteStore

KEY = ApiKey("ab" * 32, "shop", "sk-reg-abc...xyz", Role.INFERENCE, "default", 1_760_000_000_000)


def test_a_key_is_found_by_its_hash(store: SqliteStore) -> None:
    store.create_key(KEY)

    assert store.find_key(KEY.hash) == KEY
    assert store.find_key("cd" * 32) is None
    assert store.list_keys() == [KEY]


def test_a_disabled_key_says_so(store: SqliteStore) -> None:
    store.create_key(KEY)

    assert store.disable_key(KEY.hash)
    assert not store.disable_key("cd" * 32)
    found = store.find_key(KEY.hash)
    assert found is not None
    assert found.disabled


def test_a_key_keeps_who_may_name_its_users(store: SqliteStore) -> None:
    policy = make_policy(
        "signed", secret="s" * 32, sources=["user"], personal="refuse", new_users_per_hour_max=7
    )
    store.create_key(replace(KEY, users=policy))

    assert store.list_keys()[0].users == policy


def test_a_hash_is_taken_once(store: SqliteStore) -> None:
    store.create_key(KEY)

    with pytest.raises(StoreError, match="'shop'"):
        store.create_key(KEY)


def test_a_secret_is_made_once(store: SqliteStore) -> None:
    first = store.secret("cookie")

    assert len(first) == 32
    assert store.secret("cookie") == first
    assert store.secret("pseudonym") != first
