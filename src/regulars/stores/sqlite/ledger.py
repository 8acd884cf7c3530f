"""Appending generations: rows, dictionary and rollups in one durable transaction."""

import sqlite3
import time
from collections.abc import Generator as Yields
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final

from regulars.model.generation import Generation
from regulars.stores.base import RowError, StoreError
from regulars.stores.sqlite.chunks import cut
from regulars.stores.sqlite.connect import connect, store_error
from regulars.stores.sqlite.correct import correct
from regulars.stores.sqlite.fold import (
    FOLD_ROWS,
    PRESSED_ROWS,
    PRESSED_STEP_ROWS,
    STEP_PACE,
    STEP_ROWS,
    STEP_S,
    fold,
    gather,
    unfolded,
)
from regulars.stores.sqlite.insert import COUNT_ROWS, INSERTS
from regulars.stores.sqlite.migrate import check, prepare, refuse_newer
from regulars.stores.sqlite.names import Key, Names
from regulars.stores.sqlite.names_now import NamesNow
from regulars.stores.sqlite.odd_ids import insert_anywhere, unknown
from regulars.stores.sqlite.retention import delete_some, is_due
from regulars.stores.sqlite.rows import COLUMNS, WordIds, Words, encode, words
from regulars.stores.sqlite.spendings import add_byok, has_byok

LOCK_WAIT_S: Final = 1.0
"""For another process's write. Less than an answer waits, so that its row can still be spooled."""

WORDS_CACHED_MAX: Final = 20_000
ROWS_WORDS_CACHED_MAX: Final = 5_000
END_USERS_CACHED_MAX: Final = 100_000

TAIL_ROWS_MAX: Final = 2 * PRESSED_ROWS
"""Where nobody folds between batches, `append` does: the tail is bounded."""

SYNCED: Final = "PRAGMA synchronous = FULL"
UNSYNCED: Final = "PRAGMA synchronous = NORMAL"
"""For folds, which a power cut may undo as one: a row is in the tail or folded either way. The next
commit of rows makes them durable with itself, since the write-ahead log is synced as a whole."""

_ROW_FAULTS: Final = (TypeError, ValueError, KeyError, AttributeError, OverflowError)
"""What encoding or binding a row that breaks its own type raises; nothing the store does."""

_ROW_FAULT_ERRORS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


_ID: Final = COLUMNS.index("id")


class SqliteLedger:
    """The one connection of this process that writes generations; one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._tail_rows = 0
        self._due_rows = self._folded_rows = 0
        """Of a fold that has begun: how many rows were gathered, how many of them are done."""
        self._step_rows = STEP_ROWS[-1]
        self._came_rows = 0
        """Since the last step."""
        self.written = 0
        """See `stores.base.Checkpointing`."""
        self._inode = path.stat().st_ino
        self._words = Names("name", ("text",), cache_max=WORDS_CACHED_MAX)
        self._rows_words: dict[Words, WordIds] = {}
        self._rows_words_learned: dict[Words, WordIds] = {}
        self._names_now = NamesNow()
        self._end_users = Names("end_user", ("account_id", "name"), cache_max=END_USERS_CACHED_MAX)

    def append(self, rows: Sequence[Generation]) -> None:
        """Keep the rows that are not there yet; see `stores.base.Ledger`."""
        if not rows:
            return
        if self._tail_rows >= TAIL_ROWS_MAX:
            self.fold()
        self._check_file()
        try:
            connection = self._open()
            try:
                self._append(connection, rows)
            except sqlite3.IntegrityError:
                # Most likely an id that is there already, after a commit whose result was lost.
                connection.rollback()
                self._forget()
                self._append_new(connection, rows)
        except _ROW_FAULT_ERRORS as exc:
            self._abandon()
            raise RowError(f"a row of {len(rows)} does not fit the ledger: {exc}") from exc
        except sqlite3.Error as exc:
            self._abandon()
            raise store_error(exc, self._path) from exc
        except StoreError:
            self._abandon()
            raise
        except _ROW_FAULTS as exc:
            self._abandon()
            raise RowError(f"a row of {len(rows)} does not fit the ledger: {exc}") from exc
        self._keep()
        self._tail_rows += len(rows)
        self._came_rows += len(rows)
        self.written += len(rows)

    def tidy(self, *, keep_from_us: int | None) -> bool:
        """Do one step of what is due: see `stores.base.Tidy`."""
        if self._left:
            self._fold_step()
            return bool(self._left) or keep_from_us is not None
        if self._tail_rows >= FOLD_ROWS:
            self._gather()
            return True
        return keep_from_us is not None and self._delete(keep_from_us)

    @property
    def is_pressed(self) -> bool:
        """See `stores.base.Tidy`."""
        return self._tail_rows + self._left >= PRESSED_ROWS

    def correct(self, row: Generation) -> None:
        """Correct how a row ended: see `stores.base.Correcting`."""
        with self._transaction() as connection:
            correct(connection, row)

    def fold(self) -> None:
        """Fold all of the tail, step by step."""
        self._gather()
        while self._left:
            self._fold_some(PRESSED_STEP_ROWS)

    @property
    def _left(self) -> int:
        return self._due_rows - self._folded_rows

    def _gather(self) -> None:
        self._check_file()
        try:
            self._due_rows, self._folded_rows = gather(self._open()), 0
        except sqlite3.Error as exc:
            self._abandon()
            raise store_error(exc, self._path) from exc
        self._tail_rows = self._came_rows = 0

    def _fold_step(self) -> None:
        if self.is_pressed:
            self._fold_some(PRESSED_STEP_ROWS)
            return
        # Little faster than rows come: in one go a fold fills log and disk, and commits wait behind it.
        rows = min(max(STEP_PACE * self._came_rows, STEP_ROWS[0]), self._step_rows)
        self._came_rows = 0
        began = time.perf_counter()
        self._fold_some(rows)
        fitting = int(rows * STEP_S / (time.perf_counter() - began))
        # At most twice as many at once: what made one step short may not last.
        self._step_rows = min(max(fitting, STEP_ROWS[0]), 2 * self._step_rows, STEP_ROWS[-1])

    def _fold_some(self, rows: int) -> None:
        with self._transaction(UNSYNCED) as connection:
            fold(connection, self._folded_rows + 1, self._folded_rows + rows)
        self._folded_rows = min(self._folded_rows + rows, self._due_rows)
        self.written += rows

    def _delete(self, keep_from_us: int) -> bool:
        self._check_file()
        try:
            has_old = is_due(self._open(), keep_from_us)
        except sqlite3.Error as exc:
            self._abandon()
            raise store_error(exc, self._path) from exc
        if not has_old:
            return False
        with self._transaction() as connection:
            delete_some(connection, keep_from_us)
        return True

    @contextmanager
    def _transaction(self, synchronous: str = SYNCED) -> Yields[sqlite3.Connection]:
        self._check_file()
        try:
            connection = self._open()
            if synchronous != SYNCED:
                connection.execute(synchronous)
            connection.execute("BEGIN IMMEDIATE")
            refuse_newer(connection, self._path)
            yield connection
            connection.execute("COMMIT")
            if synchronous != SYNCED:
                connection.execute(SYNCED)
        except sqlite3.Error as exc:
            self._abandon()
            raise store_error(exc, self._path) from exc
        except StoreError:
            self._abandon()
            raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = connect(self._path, busy_timeout_s=LOCK_WAIT_S)
            try:
                # The file may have been exchanged since the program started.
                check(connection, self._path)
                connection.execute(COUNT_ROWS)
                self._tail_rows = unfolded(connection)
            except (sqlite3.Error, StoreError):
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Let go of the file; a later append opens it again."""
        self._abandon()

    def _check_file(self) -> None:
        """Notice a deleted file: SQLite would go on writing to what nobody can find."""
        try:
            inode = self._path.stat().st_ino
        except OSError as exc:
            raise StoreError(
                f"the store {str(self._path)!r} is gone: put the file back, or restart for a new one"
            ) from exc
        if inode != self._inode:
            # Another file took its place, a restored backup for instance: begin anew with it. A
            # backup is of the schema of its day, and not set up for a write-ahead log.
            self._abandon()
            prepare(self._path)
            self._inode = inode

    def _append(self, connection: sqlite3.Connection, rows: Sequence[Generation]) -> None:
        """Append in one transaction rows that are most likely new, all at their own places.

        One begins where a name is to be learned or more is to be written than rows. Else a single
        statement is a transaction.
        """
        if len(rows) not in INSERTS or has_byok(rows):
            connection.execute("BEGIN IMMEDIATE")
        named = self._names_now.applied(rows)
        encoded = self._encode(connection, named)
        is_odd = any(type(values[_ID]) is str for values in encoded)
        if is_odd or not self._insert(connection, encoded):
            connection.rollback()
            self._forget()
            self._append_new(connection, rows)
            return
        if connection.in_transaction:
            add_byok(connection, named, encoded)
            connection.execute("COMMIT")

    def _insert(self, connection: sqlite3.Connection, encoded: Sequence[tuple[Any, ...]]) -> bool:
        """Insert rows; False, with the transaction unfinished, where names have changed."""
        for chunk in cut(encoded, INSERTS):
            values = [*chain.from_iterable(chunk), *self._names_now.stamp]
            if connection.execute(INSERTS[len(chunk)], values).rowcount != len(chunk):
                return False
        return True

    def _append_new(self, connection: sqlite3.Connection, rows: Sequence[Generation]) -> None:
        """Append in one transaction what is new of the rows, wherever there is room.

        Whoever migrates the file changes the stamp too, so that a program of before comes here.
        """
        connection.execute("BEGIN IMMEDIATE")
        refuse_newer(connection, self._path)
        if self._names_now.refresh(connection):
            self._forget()
        fresh = self._names_now.applied(unknown(connection, rows))
        encoded = self._encode(connection, fresh)
        inserted = [
            insert_anywhere(connection, row, values)
            for row, values in zip(fresh, encoded, strict=True)
        ]
        add_byok(connection, fresh, inserted)
        connection.execute("COMMIT")

    def _encode(
        self, connection: sqlite3.Connection, rows: Sequence[Generation]
    ) -> list[tuple[Any, ...]]:
        texts = [words(row) for row in rows]
        known = self._rows_words
        self._rows_words_learned = self._learn(connection, set(texts) - known.keys())
        if self._rows_words_learned:
            known = known | self._rows_words_learned
        ids = [known[row_texts] for row_texts in texts]
        owners: list[Key | None] = [
            None if row.end_user is None else (word[0], row.end_user)
            for row, word in zip(rows, ids, strict=True)
        ]
        end_user = self._end_users.ids(connection, dict.fromkeys(key for key in owners if key))
        return [
            encode(row, word, None if owner is None else end_user[owner])
            for row, word, owner in zip(rows, ids, owners, strict=True)
        ]

    def _learn(self, connection: sqlite3.Connection, rows: set[Words]) -> dict[Words, WordIds]:
        """Return the ids of all words of each row. Most rows share theirs with many others."""
        if not rows:
            return {}
        texts = {(text,) for row in rows for text in row if text is not None}
        ids = self._words.ids(connection, texts)
        return {row: tuple(None if text is None else ids[(text,)] for text in row) for row in rows}

    def _abandon(self) -> None:
        """Close the connection, which rolls back, and forget ids that may have gone with it."""
        self._forget()
        self._names_now = NamesNow()
        self._due_rows = self._folded_rows = 0
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _keep(self) -> None:
        self._words.keep()
        self._end_users.keep()
        self._rows_words |= self._rows_words_learned
        if len(self._rows_words) > ROWS_WORDS_CACHED_MAX:
            self._rows_words.clear()

    def _forget(self) -> None:
        self._rows_words.clear()
        self._rows_words_learned = {}
        for names in (self._words, self._end_users):
            names.forget()
