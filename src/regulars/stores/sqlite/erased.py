"""Who has been erased, as the writer needs it: late rows of theirs get their anonymous numbers.

A request may be in work, queued, in a spool file or in a dead process's journal while its user
is erased. Its row still comes, and must not bring the name back. Kept are keyed digests only.
"""

import hmac
import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from secrets import token_bytes
from typing import Final

from msgspec.structs import replace

from regulars.model.generation import Generation

ERASED_MAX: Final = 100_000
"""The newest are kept in memory: rows that come later than so many erasures are not expected."""
SECRET_NAME: Final = "erasure"  # noqa: S105 - the name it is stored under
SECRET_BYTES: Final = 32

OVERWRITTEN: Final = "\x7f"
"""What a name in a living journal is overwritten with, byte for byte; no accepted id has it."""
NAMELESS: Final = "erased-0"
"""Whose rows are those whose name was overwritten before they reached the ledger."""


class ErasedPeople:
    """The erasures this process knows; asked for new ones at the begin of each transaction."""

    def __init__(self) -> None:
        self._number = 0
        self._secret = b""
        self._until_us = -1
        self._by_digest: dict[bytes, tuple[int, str]] = {}

    def refresh(self, connection: sqlite3.Connection) -> bool:
        """Say whether there are new ones since the last call, and learn them."""
        (number,) = connection.execute("SELECT ifnull(max(number), 0) FROM erasure").fetchone()
        if number == self._number:
            return False
        rows = connection.execute(
            "SELECT digest, until_us, anonymous FROM erasure ORDER BY number DESC LIMIT ?",
            (ERASED_MAX,),
        ).fetchall()
        self._by_digest = {digest: (until, name) for digest, until, name in reversed(rows)}
        self._until_us = max((until for _, until, _ in rows), default=-1)
        self._secret = erasure_secret(connection)
        self._number = number
        return True

    def applied(self, rows: Sequence[Generation]) -> Sequence[Generation]:
        """Return the rows, those from before their user's erasure without his name."""
        if all(row.created_at_us > self._until_us for row in rows):
            return rows
        return [self._applied(row) for row in rows]

    def _applied(self, row: Generation) -> Generation:
        if row.end_user is None or row.created_at_us > self._until_us:
            return row
        if not row.end_user.strip(OVERWRITTEN):
            return replace(row, end_user=NAMELESS, session=None, referer=None)
        name = self.anonymous(row.account, row.end_user, row.created_at_us)
        return row if name is None else replace(row, end_user=name, session=None, referer=None)

    def anonymous(self, account: str, user: str, created_at_us: int) -> str | None:
        """Return whose rows those of a user from then are now; None where he is not erased."""
        if created_at_us > self._until_us:
            return None
        found = self._by_digest.get(person_digest(self._secret, account, user))
        return None if found is None or created_at_us > found[0] else found[1]


def person_digest(secret: bytes, account: str, user: str) -> bytes:
    """Return what an erased person is known by; without the store's secret it says nothing."""
    message = account.encode() + b"\0" + user.encode("utf-8", "surrogatepass")
    return hmac.digest(secret, message, sha256)


def erasure_secret(connection: sqlite3.Connection) -> bytes:
    """Return the secret of the digests; made at the first call."""
    query = "SELECT value FROM setting WHERE name = ?"
    found = connection.execute(query, (SECRET_NAME,)).fetchone()
    if found is None:
        connection.execute(
            "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING",
            (SECRET_NAME, token_bytes(SECRET_BYTES)),
        )
        found = connection.execute(query, (SECRET_NAME,)).fetchone()
    return bytes(found[0])
