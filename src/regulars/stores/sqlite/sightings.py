"""What was noticed of ids, in a file of its own beside the ledger.

Apart from the ledger, so that noticing never waits for a batch of rows, nor a row for it.
"""

import secrets
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from regulars.identity.crowds import BUCKETS, addresses_in
from regulars.stores.sightings import Crowd, Newcomers
from regulars.stores.sqlite.connect import connect, create_file, store_errors

KEPT_DAYS: Final = 90
CROWDS_MAX: Final = 1000
HOURS_MAX: Final = 100_000
EXAMPLES_MAX: Final = 5
SALT_BYTES: Final = 32
DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS salt (day INTEGER PRIMARY KEY, salt BLOB NOT NULL) STRICT",
    """CREATE TABLE IF NOT EXISTS crowd (
    account TEXT NOT NULL,
    day INTEGER NOT NULL,
    user TEXT NOT NULL,
    buckets BLOB NOT NULL,
    PRIMARY KEY (account, day, user)
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS newcomers (
    account TEXT NOT NULL,
    hour INTEGER NOT NULL,
    key_hash TEXT NOT NULL,
    users INTEGER NOT NULL,
    continuing INTEGER NOT NULL,
    examples TEXT NOT NULL,
    PRIMARY KEY (account, hour, key_hash)
) STRICT, WITHOUT ROWID""",
)
_CROWD: Final = "SELECT buckets FROM crowd WHERE account = ? AND day = ? AND user = ?"
_NEWCOMERS: Final = """INSERT INTO newcomers VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
users = users + excluded.users, continuing = continuing + excluded.continuing"""


def sightings_path(store: Path) -> Path:
    """Name the file beside a store's own."""
    return store.with_name(f"{store.name}.sightings")


class SqliteSightings:
    """Plays `stores.sightings.Sightings`; seldom asked, so each call opens the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def salt(self, day: int) -> bytes:
        """See `stores.sightings.Sightings`."""
        with self._writing() as connection:
            connection.execute("DELETE FROM salt WHERE day < ?", (day,))
            fresh = (day, secrets.token_bytes(SALT_BYTES))
            connection.execute("INSERT OR IGNORE INTO salt VALUES (?, ?)", fresh)
            query = "SELECT salt FROM salt WHERE day = ?"
            (salt,) = connection.execute(query, (day,)).fetchone()
        return bytes(salt)

    def add(
        self,
        day: int,
        crowds: Mapping[tuple[str, str], int],
        newcomers: Sequence[tuple[str, Newcomers]],
        *,
        unless: Callable[[], bool],
    ) -> None:
        """See `stores.sightings.Sightings`."""
        with self._writing() as connection:
            if unless():
                return
            for (account, user), buckets in crowds.items():
                found = connection.execute(_CROWD, (account, day, user)).fetchone()
                known = 0 if found is None else int.from_bytes(found[0], "big")
                value = (buckets | known).to_bytes(BUCKETS // 8, "big")
                connection.execute(
                    "INSERT OR REPLACE INTO crowd VALUES (?, ?, ?, ?)", (account, day, user, value)
                )
            for account, one in newcomers:
                examples = msgspec.json.encode(one.examples[:EXAMPLES_MAX]).decode()
                values = (account, one.hour, one.key_hash, one.users, one.continuing, examples)
                connection.execute(_NEWCOMERS, values)
            connection.execute("DELETE FROM crowd WHERE day < ?", (day - KEPT_DAYS,))
            connection.execute("DELETE FROM newcomers WHERE hour < ?", ((day - KEPT_DAYS) * 24,))

    def crowds(self, account: str, *, from_us: int | None, to_us: int | None) -> list[Crowd]:
        """See `stores.sightings.Sightings`."""
        query = (
            "SELECT user, buckets FROM crowd WHERE account = ? AND day BETWEEN ? AND ? "
            "ORDER BY day DESC LIMIT ?"
        )
        most: dict[str, int] = {}
        for user, buckets in self._read(query, account, _units(DAY_US, from_us, to_us), HOURS_MAX):
            count = addresses_in(int.from_bytes(buckets, "big"))
            most[user] = max(count, most.get(user, 0))
        found = sorted((Crowd(*one) for one in most.items()), key=lambda one: -one.addresses)
        return found[:CROWDS_MAX]

    def newcomers(self, account: str, *, from_us: int | None, to_us: int | None) -> list[Newcomers]:
        """See `stores.sightings.Sightings`."""
        query = (
            "SELECT hour, key_hash, users, continuing, examples FROM newcomers "
            "WHERE account = ? AND hour BETWEEN ? AND ? ORDER BY hour DESC LIMIT ?"
        )
        rows = self._read(query, account, _units(HOUR_US, from_us, to_us), HOURS_MAX)
        return [
            Newcomers(hour, key_hash, users, continuing, tuple(msgspec.json.decode(examples)))
            for hour, key_hash, users, continuing, examples in reversed(rows)
        ]

    def forget(self, account: str, names: Sequence[str]) -> None:
        """Drop what is known of a person's names."""
        if not self._path.exists():
            return
        with self._writing() as connection:
            for name in names:
                query = "DELETE FROM crowd WHERE account = ? AND user = ?"
                connection.execute(query, (account, name))

    def forget_all(self) -> None:
        """Drop all names: they are kept another way from now on."""
        if self._path.exists():
            with self._writing() as connection:
                connection.execute("DELETE FROM crowd")
            self.compact()

    def compact(self) -> None:
        """Rewrite the file, so that nothing deleted is left in it."""
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                connection.execute("VACUUM")
            finally:
                connection.close()

    def _read(self, query: str, account: str, span: tuple[int, int], most: int) -> list[Any]:
        if not self._path.exists():
            return []
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                return connection.execute(query, (account, *span, most)).fetchall()
            finally:
                connection.close()

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        create_file(self._path)
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                # No write-ahead log, so what is deleted is overwritten with zeros at once.
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("BEGIN IMMEDIATE")
                for table in _TABLES:
                    connection.execute(table)
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()


def _units(unit_us: int, from_us: int | None, to_us: int | None) -> tuple[int, int]:
    """Return the first and the last day or hour of a time range."""
    last = 2**40 if to_us is None else (to_us - 1) // unit_us
    return (0 if from_us is None else from_us // unit_us), last
