"""Prompts and completions, where an operator has them kept: a table and a connection of their own.

Written without waiting for the disk: they may be lost with the power, the ledger's rows never
wait for them. Deleted text is overwritten, not only unlinked.
"""

import sqlite3
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from regulars.stores.contents import Content
from regulars.stores.sqlite.connect import store_errors
from regulars.stores.sqlite.kept import KeptConnection
from regulars.stores.sqlite.names_now import NamesNow

DELETE_MAX: Final = 100
"""Contents of one transaction: some milliseconds."""

_COLUMNS: Final = (
    "id, created_at_us, account, end_user, input, input_cut, completion, reasoning, output_cut"
)
_KEEP: Final = (
    f"INSERT INTO content ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"  # noqa: S608 - our own names
)
_FIND: Final = f"SELECT {_COLUMNS} FROM content WHERE id = ?"  # noqa: S608 - likewise
_DROP: Final = """
DELETE FROM content WHERE number IN
(SELECT number FROM content WHERE created_at_us < ? ORDER BY created_at_us LIMIT ?)
"""


class SqliteContents:
    """Plays `stores.contents.Contents`; any thread may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection = KeptConnection(path, "synchronous = NORMAL", "secure_delete = ON")
        self._names_now = NamesNow()

    def keep_contents(self, contents: Sequence[Content]) -> None:
        """See `stores.contents.Contents`."""
        with self._use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._names_now.refresh(connection)
                connection.executemany(_KEEP, self._values(contents))
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _values(self, contents: Sequence[Content]) -> list[tuple[Any, ...]]:
        """Return what is to be kept, by people's names of now; nothing of those erased since."""
        now = self._names_now
        return [
            (
                one.id,
                one.created_at_us,
                one.account,
                None if one.end_user is None else now.person(one.account, one.end_user),
                one.input,
                int(one.input_cut),
                one.completion,
                one.reasoning,
                int(one.output_cut),
            )
            for one in contents
            if one.end_user is None
            or not now.is_erased(one.account, one.end_user, one.created_at_us)
        ]

    def content(self, generation_id: str) -> Content | None:
        """See `stores.contents.Contents`."""
        with self._use() as connection:
            found = connection.execute(_FIND, (generation_id,)).fetchone()
        if found is None:
            return None
        id_, created_at_us, account, end_user, input_, input_cut, said, reasoning, said_cut = found
        return Content(
            id=id_,
            created_at_us=created_at_us,
            account=account,
            end_user=end_user,
            input=input_,
            input_cut=bool(input_cut),
            completion=said,
            reasoning=reasoning,
            output_cut=bool(said_cut),
        )

    def drop_contents(self, before_us: int) -> bool:
        """See `stores.contents.Contents`."""
        with self._use() as connection:
            oldest = "SELECT 1 FROM content WHERE created_at_us < ? LIMIT 1"
            if connection.execute(oldest, (before_us,)).fetchone() is None:
                return False  # without taking the lock for writing
            return connection.execute(_DROP, (before_us, DELETE_MAX)).rowcount == DELETE_MAX

    def erase_contents(self, account: str, end_user: str) -> int:
        """See `stores.contents.Contents`."""
        with self._use() as connection:
            query = "DELETE FROM content WHERE end_user = ? AND account = ?"
            return connection.execute(query, (end_user, account)).rowcount

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _use(self) -> Generator[sqlite3.Connection]:
        with self._lock, store_errors(self._path):
            yield self._connection.get()
