"""Which scheduled report was delivered where, in a file of its own beside the ledger.

Apart from the ledger, so that a delivery never waits for a batch of rows, nor a row for one.
"""

import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from regulars.stores.deliveries import Delivery
from regulars.stores.sqlite.connect import connect, create_file, store_errors

KEPT_MAX: Final = 10_000
"""Deliveries that are remembered; the oldest go first."""

_TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS schedule (
    report TEXT PRIMARY KEY,
    since_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    report TEXT NOT NULL,
    due_us INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    ended_us INTEGER,
    status TEXT NOT NULL,
    target TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    bytes INTEGER,
    error TEXT,
    UNIQUE (report, due_us)
) STRICT""",
)
_COLUMNS: Final = "id, report, due_us, started_us, ended_us, status, target, attempts, bytes, error"
_CLAIM: Final = """INSERT INTO delivery (report, due_us, started_us, status, target, attempts)
VALUES (?, ?, ?, 'running', ?, 0) ON CONFLICT DO UPDATE SET started_us = excluded.started_us
WHERE status = 'running' AND started_us < ? RETURNING id"""
_LAST: Final = """SELECT max(since_us, coalesce(
    (SELECT max(due_us) FROM delivery WHERE delivery.report = schedule.report), since_us))
FROM schedule WHERE report = ?"""
_END: Final = """UPDATE delivery SET ended_us = ?, status = ?, attempts = ?, bytes = ?, error = ?
WHERE id = ?"""


def deliveries_path(store: Path) -> Path:
    """Name the file beside a store's own."""
    return store.with_name(f"{store.name}.deliveries")


class SqliteDeliveries:
    """Plays `stores.deliveries.Deliveries`; any thread and any process may ask."""

    def __init__(self, path: Path) -> None:
        create_file(path)
        self._path = path
        self._lock = threading.Lock()
        with store_errors(path):
            self._connection = connect(path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            for table in _TABLES:
                self._connection.execute(table)

    def last_due(self, report: str, now_us: int) -> int:
        """See `stores.deliveries.Deliveries`."""
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO schedule VALUES (?, ?)", (report, now_us))
            (last,) = connection.execute(_LAST, (report,)).fetchone()
        return int(last)

    def unfinished(self, report: str, before_us: int) -> list[int]:
        """See `stores.deliveries.Deliveries`."""
        query = (
            "SELECT due_us FROM delivery WHERE report = ? AND status = 'running' AND started_us < ?"
        )
        with self._writing() as connection:
            return [due for (due,) in connection.execute(query, (report, before_us))]

    def claim(self, wanted: Delivery, *, lost_before_us: int) -> int | None:
        """See `stores.deliveries.Deliveries`."""
        values = (wanted.report, wanted.due_us, wanted.started_us, wanted.target, lost_before_us)
        with self._writing() as connection:
            found = connection.execute(_CLAIM, values).fetchone()
            connection.execute(
                "DELETE FROM delivery WHERE id <= (SELECT max(id) FROM delivery) - ?", (KEPT_MAX,)
            )
        return None if found is None else int(found[0])

    def end(self, delivery: Delivery) -> None:
        """See `stores.deliveries.Deliveries`."""
        with self._writing() as connection:
            connection.execute(
                _END,
                (
                    delivery.ended_us,
                    delivery.status,
                    delivery.attempts,
                    delivery.bytes,
                    delivery.error,
                    delivery.id,
                ),
            )

    def newest(self, limit: int) -> list[Delivery]:
        """See `stores.deliveries.Deliveries`."""
        query = f"SELECT {_COLUMNS} FROM delivery ORDER BY id DESC LIMIT ?"  # noqa: S608 - our own
        with self._writing() as connection:
            return [Delivery(*row) for row in connection.execute(query, (limit,))]

    def close(self) -> None:
        """Let go of the file; nobody may be using it."""
        self._connection.close()

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        with self._lock, store_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
