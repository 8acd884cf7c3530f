"""API keys and the store's own settings and secrets."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import secrets
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from regulars.model.caller import ApiKey, Role, UserPolicy
from regulars.stores.base import StoreError
from regulars.stores.sqlite.connect import connect, store_errors

SECRET_BYTES: Final = 32
KEYS_LISTED_MAX: Final = 10_000

_COLUMNS: Final = "hash, name, label, role, account, created_at_ms, disabled, users"
_POLICY: Final = msgspec.json.Decoder(UserPolicy)


class SqliteKeys:
    """A connection of its own, so that signing in never waits behind a report."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def find_key(self, key_hash: str) -> ApiKey | None:
        """Return the key with this hash, disabled ones too."""
        with self._use() as connection:
            found = connection.execute(
                f"SELECT {_COLUMNS} FROM api_key WHERE hash = ?", (key_hash,)
            ).fetchone()
        return None if found is None else _key(found)

    def create_key(self, key: ApiKey) -> None:
        """Keep a new key; a hash that is taken is a StoreError."""
        values = (
            key.hash,
            key.name,
            key.label,
            key.role.value,
            key.account,
            key.created_at_ms,
            int(key.disabled),
            msgspec.json.encode(key.users).decode(),
        )
        with self._use() as connection:
            try:
                connection.execute(
                    f"INSERT INTO api_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values
                )
            except sqlite3.IntegrityError as exc:
                raise StoreError(f"a key named {key.name!r} cannot be kept: {exc}") from exc

    def list_keys(self) -> list[ApiKey]:
        """Return the keys, oldest first."""
        with self._use() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM api_key ORDER BY created_at_ms, hash LIMIT ?",
                (KEYS_LISTED_MAX,),
            ).fetchall()
        return [_key(row) for row in rows]

    def disable_key(self, key_hash: str) -> bool:
        """Refuse a key from now on; False when there is none with this hash."""
        with self._use() as connection:
            changed = connection.execute(
                "UPDATE api_key SET disabled = 1 WHERE hash = ?", (key_hash,)
            )
            return changed.rowcount > 0

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
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    @contextmanager
    def _use(self) -> Generator[sqlite3.Connection]:
        with self._lock, store_errors(self._path):
            if self._connection is None:
                self._connection = connect(self._path)
            yield self._connection


def _key(values: tuple[Any, ...]) -> ApiKey:
    key_hash, name, label, role, account, created_at_ms, disabled, users = values
    return ApiKey(
        hash=key_hash,
        name=name,
        label=label,
        role=Role(role),
        account=account,
        created_at_ms=created_at_ms,
        disabled=bool(disabled),
        users=_POLICY.decode(users),
    )
