"""API keys and the store's own settings and secrets."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import secrets
import sqlite3
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from regulars.model.caller import ApiKey, KeyTerms, Role, UserPolicy
from regulars.stores.base import COMMAND_LINE, KeyAction, KeyChange, StoreError
from regulars.stores.sqlite import key_changes
from regulars.stores.sqlite.connect import store_errors
from regulars.stores.sqlite.kept import KeptConnection

SECRET_BYTES: Final = 32
KEYS_LISTED_MAX: Final = 10_000

_COLUMNS: Final = "hash, name, label, role, account, created_at_ms, disabled, terms, users"
_TERMS: Final = msgspec.json.Decoder(KeyTerms)
_POLICY: Final = msgspec.json.Decoder(UserPolicy)


class SqliteKeys:
    """A connection of its own, so that signing in never waits behind a report."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = KeptConnection(path)

    def find_key(self, key_hash: str) -> ApiKey | None:
        """Return the key with this hash, disabled ones too."""
        with self._use() as connection:
            return _find(connection, key_hash)

    def create_key(self, key: ApiKey, *, by: str = COMMAND_LINE) -> None:
        """Keep a new key; a hash that is taken is a StoreError."""
        values = (
            key.hash,
            key.name,
            key.label,
            key.role.value,
            key.account,
            key.created_at_ms,
            int(key.disabled),
            _terms(key),
            _users(key),
        )
        with self._change() as connection:
            try:
                connection.execute(
                    f"INSERT INTO api_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values
                )
            except sqlite3.IntegrityError as exc:
                raise StoreError(f"a key named {key.name!r} cannot be kept: {exc}") from exc
            key_changes.record(connection, None, key, by=by)

    def list_keys(self) -> list[ApiKey]:
        """Return the keys, oldest first."""
        with self._use() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM api_key ORDER BY created_at_ms, hash LIMIT ?",
                (KEYS_LISTED_MAX,),
            ).fetchall()
        return [_key(row) for row in rows]

    def change_key(
        self, key_hash: str, change: Callable[[ApiKey], ApiKey], *, by: str = COMMAND_LINE
    ) -> ApiKey | None:
        """See `stores.base.Keys`."""
        with self._change() as connection:
            old = _find(connection, key_hash)
            if old is None:
                return None
            new = change(old)
            connection.execute(
                "UPDATE api_key SET name = ?, disabled = ?, terms = ?, users = ? WHERE hash = ?",
                (new.name, int(new.disabled), _terms(new), _users(new), key_hash),
            )
            key_changes.record(connection, old, new, by=by)
        return new

    def disable_key(self, key_hash: str) -> bool:
        """Refuse a key from now on; False when there is none with this hash."""
        return self.change_key(key_hash, lambda key: replace(key, disabled=True)) is not None

    def delete_key(self, key_hash: str, *, by: str = COMMAND_LINE) -> bool:
        """See `stores.base.Keys`."""
        with self._change() as connection:
            old = _find(connection, key_hash)
            if old is None:
                return False
            connection.execute("DELETE FROM api_key WHERE hash = ?", (key_hash,))
            key_changes.record(connection, old, None, by=by)
        return True

    def note_use(self, key: ApiKey | None, action: KeyAction, details: Mapping[str, Any]) -> None:
        """See `stores.base.Keys`."""
        with self._change() as connection:
            key_changes.note(
                connection, key, action, details, by=COMMAND_LINE if key is None else key.hash
            )

    def key_changes(self, limit: int, *, key_hash: str | None = None) -> list[KeyChange]:
        """See `stores.base.Keys`."""
        with self._use() as connection:
            return key_changes.newest(connection, limit, key_hash)

    def secret(self, name: str) -> bytes:
        """Return the store's secret of this name, the same for ever; made at the first call."""
        with self._use() as connection:
            query = "SELECT value FROM setting WHERE name = ?"
            found = connection.execute(query, (name,)).fetchone()
            if found is None:
                # Whoever comes first decides; everyone reads what was decided.
                connection.execute(
                    "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    (name, secrets.token_bytes(SECRET_BYTES)),
                )
                found = connection.execute(query, (name,)).fetchone()
        return bytes(found[0])

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _use(self) -> Generator[sqlite3.Connection]:
        with self._lock, store_errors(self._path):
            yield self._connection.get()

    @contextmanager
    def _change(self) -> Generator[sqlite3.Connection]:
        """Lend the connection inside one write transaction."""
        with self._use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


def disable_keys_of(connection: sqlite3.Connection, account: str, user: str, *, by: str) -> None:
    """Disable, in the open transaction, keys that are one user's alone, and drop his name in them."""
    query = f"SELECT {_COLUMNS} FROM api_key WHERE account = ? AND users ->> '$.user' = ?"
    for old in map(_key, connection.execute(query, (account, user)).fetchall()):
        new = replace(old, disabled=True, users=replace(old.users, user=None))
        connection.execute(
            "UPDATE api_key SET disabled = 1, users = ? WHERE hash = ?", (_users(new), new.hash)
        )
        key_changes.record(connection, old, new, by=by)


def _find(connection: sqlite3.Connection, key_hash: str) -> ApiKey | None:
    query = f"SELECT {_COLUMNS} FROM api_key WHERE hash = ?"
    found = connection.execute(query, (key_hash,)).fetchone()
    return None if found is None else _key(found)


def _terms(key: ApiKey) -> str:
    return msgspec.json.encode(key.terms).decode()


def _users(key: ApiKey) -> str:
    return msgspec.json.encode(key.users).decode()


def _key(values: tuple[Any, ...]) -> ApiKey:
    key_hash, name, label, role, account, created_at_ms, disabled, terms, users = values
    return ApiKey(
        hash=key_hash,
        name=name,
        label=label,
        role=Role(role),
        account=account,
        created_at_ms=created_at_ms,
        disabled=bool(disabled),
        terms=_TERMS.decode(terms),
        users=_POLICY.decode(users),
    )
