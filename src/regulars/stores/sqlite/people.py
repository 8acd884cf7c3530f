"""Erasing a person: his name out of every table and every byte of the files; his sums stay.

The name goes in one short transaction together with the note of it, so that every writer sees
either none of it or all. What takes time follows in steps and may be repeated: a killed erasure
is finished by asking for it again.
"""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from regulars.stores.base import COMMAND_LINE, Erased, StoreError
from regulars.stores.sqlite.connect import connect, store_errors
from regulars.stores.sqlite.erased import erasure_secret, person_digest
from regulars.stores.sqlite.kept import KeptConnection
from regulars.stores.sqlite.keys import disable_keys_of
from regulars.stores.sqlite.merge import alias, rename
from regulars.stores.sqlite.raw import RawFiles
from regulars.stores.sqlite.stamp import changed, stamp

ROWS_A_STEP: Final = 1000
SESSIONS_MAX: Final = 10_000
"""Sessions whose placements are looked for; others fade by themselves within the hour."""
INSIDE_CHARS_MIN: Final = 4
"""A shorter id is not looked for inside other texts: it would be found everywhere."""
CHECKPOINT_TRIES: Final = 100
CHECKPOINT_PAUSE_S: Final = 0.05

_FIND: Final = (
    "SELECT id FROM end_user WHERE name = ? AND account_id = (SELECT id FROM name WHERE text = ?)"
)
_NAMES: Final = (
    "SELECT name FROM end_user WHERE account_id = (SELECT id FROM name WHERE text = ?1) "
    "UNION SELECT name FROM external_user WHERE account = ?1 "
    "UNION SELECT users ->> '$.user' FROM api_key WHERE account = ?1 AND users ->> '$.user' NOTNULL"
)
_ALIASES: Final = "SELECT name, person FROM alias WHERE account = ? ORDER BY name"
_PERSON: Final = "SELECT person FROM alias WHERE account = ? AND name = ?"
_UNREGISTER: Final = "DELETE FROM external_user WHERE account = ? AND name = ?"
_UNALIAS: Final = "DELETE FROM alias WHERE account = ?1 AND (name = ?2 OR person = ?2)"
_ROWS: Final = (
    "SELECT row FROM by_user WHERE user_id = ?1 AND row > ?2 UNION "
    "SELECT row FROM tail CROSS JOIN generation USING (row) WHERE end_user_id = ?1 AND row > ?2 "
    "ORDER BY row LIMIT ?3"
)
_SHOWN: Final = (
    "SELECT (SELECT text FROM name WHERE id = model_id), "
    "(SELECT text FROM name WHERE id = provider_id), details ->> '$.session' "
    "FROM generation WHERE row BETWEEN ? AND ? AND end_user_id = ?"
)
_STRIP: Final = (
    "UPDATE generation SET details = json_remove(details, '$.session', '$.referer') "
    "WHERE row BETWEEN ? AND ? AND end_user_id = ?"
)
# Texts that only describe: what reports group by (models, keys …) stays.
_MENTIONS: Final = (
    "UPDATE name SET text = 'erased-' || ?2 || '-' || id WHERE instr(text, ?1) AND NOT EXISTS "
    "(SELECT 1 FROM hourly WHERE name.id IN (account_id, model_id, endpoint_id, provider_id, key_id))"
)


class SqlitePeople:
    """Plays `stores.base.People`, each call over a connection of its own."""

    def __init__(self, path: Path, raw: RawFiles) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._asking = KeptConnection(path, "query_only = ON")
        self._raw = raw

    def knows(self, account: str, user: str) -> bool:
        """Say whether rows of this user have been kept."""
        with self._ask() as connection:
            return connection.execute(_FIND, (user, account)).fetchone() is not None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._asking.close()

    @contextmanager
    def _ask(self) -> Generator[sqlite3.Connection]:
        with self._lock, store_errors(self._path):
            yield self._asking.get()

    def erase(self, account: str, user: str, *, now_us: int, by: str = COMMAND_LINE) -> Erased:
        """See `stores.base.People`."""
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                # What is deleted is overwritten with zeros, in the pages that are written anyway.
                connection.execute("PRAGMA secure_delete = ON")
                digest, pending = _begin(connection, account, user, now_us, by)
                parts = [_strip(connection, account, name) for name in pending]
            finally:
                connection.close()
        providers: Counter[str] = Counter()
        for part in parts:
            providers.update(dict(part.providers))
        return Erased(
            digest=digest,
            anonymous=pending,
            rows=sum(part.rows for part in parts),
            models=tuple(sorted({model for part in parts for model in part.models})),
            sessions=tuple(sorted({pair for part in parts for pair in part.sessions})),
            providers=tuple(sorted(providers.items())),
        )

    def subject(self, account: str, user: str) -> str:
        """Return the digest that receipts and the record of changes name a user by."""
        with self._changing() as connection:
            return person_digest(erasure_secret(connection), account, user).hex()

    def rename(self, account: str, name: str, into: str) -> bool:
        """See `stores.base.People`."""
        with self._changing() as connection:
            return rename(connection, account, name, into)

    def alias(self, account: str, name: str, person: str) -> None:
        """See `stores.base.People`."""
        with self._changing() as connection:
            alias(connection, account, name, person)

    def aliases(self, account: str) -> list[tuple[str, str]]:
        """See `stores.base.People`."""
        with self._ask() as connection:
            return connection.execute(_ALIASES, (account,)).fetchall()

    def person(self, account: str, name: str) -> str:
        """See `stores.base.People`."""
        with self._ask() as connection:
            found = connection.execute(_PERSON, (account, name)).fetchone()
        return name if found is None else str(found[0])

    def unalias(self, account: str, name: str) -> None:
        """See `stores.base.People`."""
        with self._changing() as connection:
            connection.execute("DELETE FROM alias WHERE account = ? AND name = ?", (account, name))
            changed(connection)

    def names(self, account: str) -> list[str]:
        """See `stores.base.People`."""
        with self._ask() as connection:
            return [name for (name,) in connection.execute(_NAMES, (account,))]

    def names_stamp(self) -> object:
        """See `stores.base.People`."""
        with self._ask() as connection:
            return stamp(connection)

    def compact(self) -> None:
        """See `stores.base.People`."""
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                connection.execute("VACUUM")
                self._truncate_wal(connection)
            finally:
                connection.close()

    @contextmanager
    def _changing(self) -> Generator[sqlite3.Connection]:
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                connection.execute("PRAGMA secure_delete = ON")
                # Checking that no row names a merged person would read them all.
                connection.execute("PRAGMA foreign_keys = OFF")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()

    def purge(self, texts: Sequence[bytes]) -> int:
        """See `stores.base.People`."""
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                self._truncate_wal(connection)
                if self._count(texts):
                    # Moving cells about leaves copies in unused parts of pages.
                    connection.execute("VACUUM")
                    self._truncate_wal(connection)
            finally:
                connection.close()
        return self._count(texts)

    def finish(self, digest: bytes) -> None:
        """See `stores.base.People`."""
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                connection.execute("UPDATE erasure SET done = 1 WHERE digest = ?", (digest,))
            finally:
                connection.close()

    def _truncate_wal(self, connection: sqlite3.Connection) -> None:
        for _ in range(CHECKPOINT_TRIES):
            (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            time.sleep(CHECKPOINT_PAUSE_S)
        raise StoreError(
            f"the store {str(self._path)!r} is being read without a pause: the write-ahead log "
            "could not be emptied; end long reports and erase again"
        )

    def _count(self, texts: Sequence[bytes]) -> int:
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(self._raw.count_in(file, texts) for file in files)


def _begin(
    connection: sqlite3.Connection, account: str, user: str, now_us: int, by: str
) -> tuple[bytes, tuple[str, ...]]:
    """Note the erasure and take the name away; return the numbers still to be worked on."""
    connection.execute("BEGIN IMMEDIATE")
    digest = person_digest(erasure_secret(connection), account, user)
    found = connection.execute(
        _FIND,
        (user, account),
    ).fetchone()
    pending = connection.execute(
        "SELECT anonymous FROM erasure WHERE digest = ? AND done = 0", (digest,)
    ).fetchall()
    connection.execute(
        "UPDATE erasure SET until_us = ? WHERE digest = ? AND done = 0", (now_us, digest)
    )
    # A key that is this person's alone serves nobody any more.
    disable_keys_of(connection, account, user, by=by)
    for statement in (_UNREGISTER, _UNALIAS):
        connection.execute(statement, (account, user))
    if found is not None or not pending:
        (last,) = connection.execute("SELECT ifnull(max(number), 0) FROM erasure").fetchone()
        number, anonymous = last + 1, f"erased-{last + 1}"
        connection.execute(
            "INSERT INTO erasure (number, digest, until_us, anonymous, done) VALUES (?, ?, ?, ?, 0)",
            (number, digest, now_us, anonymous),
        )
        pending.append((anonymous,))
        if found is not None:
            connection.execute("UPDATE end_user SET name = ? WHERE id = ?", (anonymous, *found))
        if len(user) >= INSIDE_CHARS_MIN:
            connection.execute(_MENTIONS, (user, number))
    connection.execute("COMMIT")
    return digest, tuple(name for (name,) in pending)


def _strip(connection: sqlite3.Connection, account: str, anonymous: str) -> Erased:
    """Take sessions and referrers out of an erased person's rows, step by step."""
    found = connection.execute(
        _FIND,
        (anonymous, account),
    ).fetchone()
    models: set[str] = set()
    sessions: set[tuple[str, str]] = set()
    providers: Counter[str] = Counter()
    count, after = 0, -1
    while found is not None:
        rows = connection.execute(_ROWS, (found[0], after, ROWS_A_STEP)).fetchall()
        if not rows:
            break
        span = (rows[0][0], rows[-1][0], found[0])
        connection.execute("BEGIN IMMEDIATE")
        for model, provider, session in connection.execute(_SHOWN, span):
            models.add(model)
            if session is not None and len(sessions) < SESSIONS_MAX:
                sessions.add((model, session))
            if provider is not None:
                providers[provider] += 1
        connection.execute(_STRIP, span)
        connection.execute("COMMIT")
        count, after = count + len(rows), span[1]
    return Erased(
        b"", (anonymous,), count, tuple(models), tuple(sessions), tuple(providers.items())
    )
