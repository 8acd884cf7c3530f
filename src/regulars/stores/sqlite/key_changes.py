"""The record of what was done to keys, written in the transaction that does it."""

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import msgspec

from regulars.model.caller import ApiKey
from regulars.stores.base import KeyAction, KeyChange

CHANGES_KEPT_MAX: Final = 10_000
"""The oldest go first."""

_COLUMNS: Final = "at_us, actor, key_hash, key_name, action, details"


def record(
    connection: sqlite3.Connection, old: ApiKey | None, new: ApiKey | None, *, by: str
) -> None:
    """Note in the open transaction that a key was made, changed or deleted."""
    action = "created" if old is None else "deleted" if new is None else "changed"
    key = new or old
    assert key is not None, "a change is of some key"
    note(connection, key, action, _differences(old, new), by=by)


def note(
    connection: sqlite3.Connection,
    key: ApiKey | None,
    action: KeyAction,
    details: Mapping[str, Any],
    *,
    by: str,
) -> None:
    """Note in the open transaction what was done to a key, with it, or without any."""
    connection.execute(
        f"INSERT INTO key_change ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own
        (
            time.time_ns() // 1000,
            by,
            "" if key is None else key.hash,
            "" if key is None else key.name,
            action,
            msgspec.json.encode(details).decode(),
        ),
    )
    connection.execute(
        "DELETE FROM key_change WHERE id <= (SELECT max(id) FROM key_change) - ?",
        (CHANGES_KEPT_MAX,),
    )


def newest(connection: sqlite3.Connection, limit: int, key_hash: str | None) -> list[KeyChange]:
    """Return changes, of all keys or one, the newest first."""
    query = (
        f"SELECT {_COLUMNS} FROM key_change WHERE ?1 IS NULL OR key_hash = ?1 "  # noqa: S608 - our own
        "ORDER BY id DESC LIMIT ?2"
    )
    return [
        KeyChange(at_us, actor, key_hash, name, action, msgspec.json.decode(details))
        for at_us, actor, key_hash, name, action, details in connection.execute(
            query, (key_hash, limit)
        )
    ]


def _differences(old: ApiKey | None, new: ApiKey | None) -> dict[str, tuple[Any, Any]]:
    if old is None or new is None:
        return {}
    before, after = _fields(old), _fields(new)
    hidden = {}
    if old.users.user != new.users.user:
        # The record outlives people: it says that there was a user, not who.
        hidden["external_user"] = (_hidden(old), _hidden(new))
    return hidden | {
        name: (before.get(name), value)
        for name, value in after.items()
        if before.get(name) != value
    }


def _fields(key: ApiKey) -> dict[str, Any]:
    """Return what may change of a key, without when it last did."""
    terms = asdict(key.terms)
    del terms["updated_at_ms"]
    policy = key.users
    return {
        "name": key.name,
        "disabled": key.disabled,
        **terms,
        "user_policy": policy.rule,
        "user_prefix": policy.prefix,
        "user_sources": list(policy.sources),
        "personal_ids": policy.personal,
        "new_users_per_hour": policy.new_users_per_hour_max,
        "signing_secret_name": policy.secret_name,
    }


def _hidden(key: ApiKey) -> str | None:
    return None if key.users.user is None else "(not shown)"
