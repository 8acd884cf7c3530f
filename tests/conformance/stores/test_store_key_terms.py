"""What keys may spend, what they did spend, and the record of who changed them."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as with_fields

from conformance.stores.ledgers import generation
from regulars.model.caller import ApiKey, KeyTerms, LimitReset, Role
from regulars.model.money import Cost
from regulars.stores.base import COMMAND_LINE
from regulars.stores.spendings import Begins, KeySpent, Spent
from regulars.stores.sqlite import SqliteStore

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOON_US = 20_000 * DAY_US + 12 * HOUR_US
BEGINS = Begins(day_us=20_000 * DAY_US, week_us=19_998 * DAY_US, month_us=19_990 * DAY_US)
TERMS = KeyTerms(
    limit_nanousd=5_000_000_000,
    limit_reset=LimitReset.WEEKLY,
    expires_at_ms=1_900_000_000_000,
    content_share=0.25,
)
KEY = ApiKey("ab" * 32, "shop", "sk-reg-abc...xyz", Role.INFERENCE, "default", 1_760_000_000_000)


def test_terms_are_kept_to_the_last_field(store: SqliteStore) -> None:
    key = replace(KEY, terms=TERMS)

    store.create_key(key)

    assert store.find_key(KEY.hash) == key


def test_a_change_is_kept_and_recorded(store: SqliteStore) -> None:
    store.create_key(KEY)

    changed = store.change_key(
        KEY.hash, lambda key: replace(key, name="stall", terms=TERMS), by="cd" * 32
    )

    assert changed == replace(KEY, name="stall", terms=TERMS)
    assert store.find_key(KEY.hash) == changed
    newest, oldest = store.key_changes(10)
    assert (oldest.action, oldest.actor, oldest.details) == ("created", COMMAND_LINE, {})
    assert (newest.action, newest.actor, newest.key_hash) == ("changed", "cd" * 32, KEY.hash)
    assert newest.details["name"] == ["shop", "stall"]
    assert newest.details["limit_nanousd"] == [None, 5_000_000_000]
    assert "disabled" not in newest.details


def test_a_change_that_is_refused_leaves_no_trace(store: SqliteStore) -> None:
    store.create_key(KEY)

    def refuse(_key: ApiKey) -> ApiKey:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.change_key(KEY.hash, refuse)

    assert store.find_key(KEY.hash) == KEY
    assert len(store.key_changes(10)) == 1
    assert store.change_key("cd" * 32, lambda key: key) is None


def test_a_deleted_key_is_gone_and_its_end_recorded(store: SqliteStore) -> None:
    store.create_key(KEY)

    assert store.delete_key(KEY.hash, by="cd" * 32)
    assert not store.delete_key(KEY.hash)

    assert store.key_changes(9, key_hash="cd" * 32) == []
    assert store.list_keys() == []
    assert [change.action for change in store.key_changes(1)] == ["deleted"]


def test_what_was_done_to_a_user_is_recorded_by_the_key_that_did_it(store: SqliteStore) -> None:
    store.create_key(KEY)

    store.note_use(KEY, "user_exported", {"subject": (None, "digest")})

    (change,) = store.key_changes(1, key_hash=KEY.hash)
    assert (change.actor, change.key_name, change.action) == (KEY.hash, KEY.name, "user_exported")
    assert change.details == {"subject": [None, "digest"]}


def test_what_keys_spent_is_known_by_window(store: SqliteStore) -> None:
    times_us = (NOON_US, NOON_US - DAY_US, NOON_US - 5 * DAY_US, NOON_US - 50 * DAY_US)
    for number, at_us in enumerate(times_us):
        nano = 10**number
        row = generation(number, created_at_us=at_us, key_hash=KEY.hash)
        store.append([with_fields(row, cost=Cost(nano, nano, 0, 0, nano // 10 or None))])

    spent = store.keys_spent("default", BEGINS)[KEY.hash]

    assert spent == KeySpent(
        total=Spent(1111, 111),
        daily=Spent(1, 0),
        weekly=Spent(11, 1),
        monthly=Spent(111, 11),
        last_us=NOON_US,
    )
    assert store.keys_spent("default", BEGINS, key_hash="cd" * 32) == {}
    assert store.spent_since("default", KEY.hash, BEGINS.week_us) == Spent(11, 1)
    assert store.spent_since("default", KEY.hash, None) == Spent(1111, 111)
    assert store.spent_since("default", "cd" * 32, None) == Spent()
