"""What worker processes of one machine tell each other about routing, in a file of its own.

Soft state: it may be lost or deleted at any time. It lies beside the ledger and not in it, so
that telling never waits for a batch of rows, nor a row for a telling, and no backup holds it.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from regulars.routing.sharing import (
    PLACEMENTS_MAX,
    Outbox,
    SharedLoads,
    SharedPlacement,
    SharedTrouble,
)
from regulars.stores.base import StoreError
from regulars.stores.shared import Heard
from regulars.stores.sqlite.connect import create_file, store_errors

BUSY_TIMEOUT_S: Final = 1.0
TELLINGS_KEPT_S: Final = 300.0
"""Loads fade within a minute, so an older telling says nothing."""
PLACEMENTS_KEPT_S: Final = 3600.0
ROWS_MAX: Final = 1_000_000
"""Placements; the ones told longest ago go first."""
TIDY_S: Final = 60.0
"""How often old and surplus rows are deleted."""
ASKED_MAX: Final = 8
"""Keys of one question."""

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS telling (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    node TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    loads BLOB NOT NULL
) STRICT""",
    """CREATE TABLE IF NOT EXISTS placement (
    key INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    used_ms INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    ttl_s REAL,
    telling INTEGER NOT NULL,
    node TEXT NOT NULL
) STRICT""",
    "CREATE INDEX IF NOT EXISTS placement_telling ON placement (telling)",
)
_TELL: Final = "INSERT INTO telling (node, at_ms, loads) VALUES (?, ?, ?)"
_PLACE: Final = """INSERT INTO placement VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET endpoint = excluded.endpoint, used_ms = excluded.used_ms,
    prompt_tokens = excluded.prompt_tokens, ttl_s = excluded.ttl_s, telling = excluded.telling,
    node = excluded.node
WHERE excluded.used_ms >= used_ms"""
_PLACEMENT: Final = "SELECT key, endpoint, used_ms, prompt_tokens, ttl_s FROM placement"
# The newest, should there be more than one may hear at once.
_HEARD: Final = f"{_PLACEMENT} WHERE telling > ? AND node <> ? ORDER BY telling DESC LIMIT ?"
_TELLINGS: Final = "SELECT number, node, at_ms, loads FROM telling WHERE number > ?"
_FORGET: Final = (
    "DELETE FROM telling WHERE at_ms < ?",
    "DELETE FROM placement WHERE used_ms < ?",
)
_OVERFLOW: Final = (
    "DELETE FROM placement WHERE key IN (SELECT key FROM placement ORDER BY telling "
    "LIMIT max((SELECT count(*) FROM placement) - ?, 0))"
)


class _Telling(msgspec.Struct, array_like=True):
    """What `telling.loads` holds. A file may still have tellings of the version before."""

    endpoints: dict[str, float]
    users: dict[int, float]
    troubles: tuple[SharedTrouble, ...] = ()


_TELLING: Final = msgspec.json.Decoder(_Telling)


def shared_routing_path(store: Path) -> Path:
    """Name the file beside a store's own."""
    return store.with_name(f"{store.name}.routing")


class SqliteSharedRouting:
    """Plays `stores.shared.SharedRouting`; `node` tells processes apart."""

    def __init__(
        self,
        path: Path,
        node: str,
        *,
        now_s: Callable[[], float] = time.time,
        rows_max: int = ROWS_MAX,
    ) -> None:
        self._path = path
        self._node = node
        self._now_s = now_s
        self._rows_max = rows_max
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._heard_up_to = 0
        self._tidied_at_ms: int | None = None

    def tell(self, outbox: Outbox) -> None:
        """See `stores.shared.SharedRouting`."""
        now_ms = self._now_ms()
        loads = msgspec.json.encode((outbox.loads.endpoints, outbox.loads.users, outbox.troubles))
        with self._lock, store_errors(self._path):
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            try:
                told = connection.execute(_TELL, (self._node, now_ms, loads)).lastrowid
                connection.executemany(
                    _PLACE,
                    [
                        (
                            _signed(one.key),
                            one.endpoint,
                            now_ms - int(one.idle_s * 1000),
                            one.prompt_tokens,
                            one.ttl_s,
                            told,
                            self._node,
                        )
                        for one in outbox.placements
                    ],
                )
                self._tidy(connection, now_ms)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def hear(self) -> list[Heard]:
        """See `stores.shared.SharedRouting`."""
        now_ms = self._now_ms()
        since = self._heard_up_to
        with self._lock, store_errors(self._path):
            connection = self._open()
            connection.execute("BEGIN")
            try:
                tellings = connection.execute(_TELLINGS, (since,)).fetchall()
                rows = connection.execute(_HEARD, (since, self._node, PLACEMENTS_MAX)).fetchall()
            finally:
                connection.execute("COMMIT")
        self._heard_up_to = max((number for number, *_ in tellings), default=since)
        heard = [
            _heard(loads, max(now_ms - at_ms, 0) / 1000)
            for _, node, at_ms, loads in tellings
            if node != self._node
        ]
        if rows:
            heard.append(
                Heard(tuple(_placement(row, now_ms) for row in rows), SharedLoads(), late_s=0.0)
            )
        return heard

    def ask(self, keys: Sequence[int]) -> list[SharedPlacement]:
        """See `stores.shared.SharedRouting`."""
        asked = [_signed(key) for key in keys[:ASKED_MAX]]
        marks = ", ".join("?" * len(asked))
        with self._lock, store_errors(self._path):
            rows = self._open().execute(f"{_PLACEMENT} WHERE key IN ({marks})", asked).fetchall()
        now_ms = self._now_ms()
        return [_placement(row, now_ms) for row in rows]

    def forget(self, keys: Sequence[int]) -> int:
        """Delete these placements; how many there were."""
        with self._lock, store_errors(self._path):
            connection = self._open()
            connection.execute("PRAGMA secure_delete = ON")
            gone = connection.executemany(
                "DELETE FROM placement WHERE key = ?", [(_signed(key),) for key in keys]
            )
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return max(gone.rowcount, 0)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            create_file(self._path)
            connection = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                # No sync at a commit: what a power cut takes is of no use after it.
                connection.execute("PRAGMA synchronous = NORMAL")
                for statement in _TABLES:
                    connection.execute(statement)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _tidy(self, connection: sqlite3.Connection, now_ms: int) -> None:
        if self._tidied_at_ms is not None and abs(now_ms - self._tidied_at_ms) < TIDY_S * 1000:
            return
        self._tidied_at_ms = now_ms
        kept_s = (TELLINGS_KEPT_S, PLACEMENTS_KEPT_S)
        for statement, seconds in zip(_FORGET, kept_s, strict=True):
            connection.execute(statement, (now_ms - int(seconds * 1000),))
        connection.execute(_OVERFLOW, (self._rows_max,))

    def _now_ms(self) -> int:
        return int(self._now_s() * 1000)


def _signed(key: int) -> int:
    """SQLite's integers have a sign, digests have none."""
    return key - 2**64 if key >= 2**63 else key


def _placement(row: tuple[int, str, int, int, float | None], now_ms: int) -> SharedPlacement:
    key, endpoint, used_ms, prompt_tokens, ttl_s = row
    idle_s = max(now_ms - used_ms, 0) / 1000
    return SharedPlacement(key % 2**64, endpoint, idle_s, prompt_tokens, ttl_s)


def _heard(written: bytes, late_s: float) -> Heard:
    try:
        told = _TELLING.decode(written)
    except msgspec.DecodeError as exc:
        raise StoreError(f"a telling of another worker cannot be read: {exc}") from exc
    return Heard((), SharedLoads(told.endpoints, told.users), late_s, told.troubles)
