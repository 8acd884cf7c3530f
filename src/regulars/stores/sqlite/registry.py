"""External users that were registered or turned off: what the ledger itself does not say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from regulars.stores.registry import Registered
from regulars.stores.sqlite.connect import connect, store_errors

_ALL: Final = (
    "SELECT name, is_active, created_us, updated_us, display_name FROM external_user WHERE account = ? "
    "ORDER BY name LIMIT ?"
)
_ONE: Final = (
    "SELECT name, is_active, created_us, updated_us, display_name FROM external_user "
    "WHERE account = ? AND name = ?"
)
_DISPLAYED: Final = (
    "SELECT name, is_active, created_us, updated_us, display_name FROM external_user "
    "WHERE account = ? AND display_name NOTNULL AND name IN (SELECT value FROM json_each(?))"
)
_PUT: Final = (
    "INSERT INTO external_user (account, name, is_active, created_us, updated_us, display_name) "
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, name) DO UPDATE SET is_active = "
    "excluded.is_active, updated_us = excluded.updated_us, display_name = excluded.display_name"
)


class SqliteRegistry:
    """Plays `stores.registry.Registry`; seldom asked, so each call opens the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def registered(self, account: str, *, limit: int) -> list[Registered]:
        """See `stores.registry.Registry`."""
        return self._asked(_ALL, (account, limit))

    def register(self, account: str, user: Registered) -> None:
        """See `stores.registry.Registry`."""
        times = (user.created_us, user.updated_us)
        self._asked(_PUT, (account, user.name, user.is_active, *times, user.display_name))

    def display_names(self, account: str, names: Sequence[str]) -> dict[str, str]:
        """See `stores.registry.Registry`."""
        wanted = msgspec.json.encode(names).decode()
        found = self._asked(_DISPLAYED, (account, wanted))
        return {one.name: one.display_name for one in found if one.display_name is not None}

    def find_registered(self, account: str, name: str) -> Registered | None:
        """See `stores.registry.Registry`."""
        return next(iter(self._asked(_ONE, (account, name))), None)

    def _asked(self, statement: str, values: tuple[str | int | None, ...]) -> list[Registered]:
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                # A name that is replaced is overwritten.
                connection.execute("PRAGMA secure_delete = ON")
                rows = connection.execute(statement, values).fetchall()
            finally:
                connection.close()
        return [
            Registered(name, bool(active), created, updated, display_name)
            for name, active, created, updated, display_name in rows
        ]
