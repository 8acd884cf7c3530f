"""Dictionary tables: text ↔ small integer, with a bounded cache of what was seen lately."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

from regulars.stores.sqlite.chunks import cut

NOBODY_ID: Final = 0
"""Stands in rollups for no end user, and for no endpoint or provider."""

TEXTS_A_QUERY: Final = 500

Key = tuple[str | int | None, ...]


def texts_of(connection: sqlite3.Connection, table: str, ids: Iterable[int]) -> dict[int, str]:
    """Return the text of each id; NOBODY_ID has none and is left out."""
    column = "name" if table == "end_user" else "text"
    wanted = [number for number in ids if number > NOBODY_ID]
    texts: dict[int, str] = {}
    for start in range(0, len(wanted), TEXTS_A_QUERY):
        some = wanted[start : start + TEXTS_A_QUERY]
        query = f"SELECT id, {column} FROM {table} WHERE id IN ({', '.join('?' * len(some))})"
        texts |= dict(connection.execute(query, some).fetchall())
    return texts


class Names:
    """Ids of one dictionary table, for the one connection that writes.

    What a transaction learns joins the cache only by `keep`, after its commit: a rolled-back
    id may be given to another text. Another process's ids are found by asking the table.
    """

    def __init__(self, table: str, columns: Sequence[str], *, cache_max: int) -> None:
        self._table = table
        self._columns = ", ".join(columns)
        self._place = f"({', '.join('?' for _ in columns)})"
        self._asked_columns = ", ".join(f"asked_{column}" for column in columns)
        self._match = " AND ".join(f"{column} = asked_{column}" for column in columns)
        self._cache_max = cache_max
        self._cache: OrderedDict[Key, int] = OrderedDict()
        self._learned: dict[Key, int] = {}

    def ids(self, connection: sqlite3.Connection, keys: Iterable[Key]) -> dict[Key, int]:
        """Return the id of every key, making new ones; where that is due, a transaction begins."""
        found: dict[Key, int] = {}
        missing: list[Key] = []
        cache = self._cache
        for key in keys:
            known = cache.get(key)
            if known is None:
                missing.append(key)
            else:
                cache.move_to_end(key)
                found[key] = known
        if missing:
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")
            self._learned = self._select(connection, missing)
            fresh = [key for key in missing if key not in self._learned]
            self._learned |= self._insert(connection, fresh)
            found |= self._learned
        return found

    def keep(self) -> None:
        """Remember what the committed transaction learned."""
        cache = self._cache
        cache.update(self._learned)
        self._learned = {}
        while len(cache) > self._cache_max:
            cache.popitem(last=False)

    def forget(self) -> None:
        """Drop what was learned, and all else: the file itself may have changed."""
        self._learned = {}
        self._cache.clear()

    def _select(self, connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, int]:
        # A cross join keeps the order of loops: `(a, b) IN (VALUES …)` would scan the table.
        tail = f") SELECT id, {self._columns} FROM asked CROSS JOIN {self._table} ON {self._match}"
        return self._asked(
            connection, f"WITH asked ({self._asked_columns}) AS (VALUES ", tail, keys
        )

    def _insert(self, connection: sqlite3.Connection, keys: Sequence[Key]) -> dict[Key, int]:
        query = f"INSERT INTO {self._table} ({self._columns}) VALUES "
        return self._asked(connection, query, f" RETURNING id, {self._columns}", keys)

    def _asked(
        self, connection: sqlite3.Connection, head: str, tail: str, keys: Sequence[Key]
    ) -> dict[Key, int]:
        answer: dict[Key, int] = {}
        for chunk in cut(keys):
            places = ", ".join([self._place] * len(chunk))
            rows = connection.execute(
                head + places + tail, [value for key in chunk for value in key]
            )
            answer.update(
                (key, number) for number, *key_parts in rows for key in [tuple(key_parts)]
            )
        return answer
