"""External users that were registered or turned off: what the ledger itself does not say."""

from pathlib import Path
from typing import Final

from regulars.stores.registry import Registered
from regulars.stores.sqlite.connect import connect, store_errors

_ALL: Final = (
    "SELECT name, is_active, created_us, updated_us FROM external_user WHERE account = ? "
    "ORDER BY name LIMIT ?"
)
_ONE: Final = (
    "SELECT name, is_active, created_us, updated_us FROM external_user "
    "WHERE account = ? AND name = ?"
)
_PUT: Final = (
    "INSERT INTO external_user (account, name, is_active, created_us, updated_us) "
    "VALUES (?, ?, ?, ?, ?) ON CONFLICT (account, name) DO UPDATE SET "
    "is_active = excluded.is_active, updated_us = excluded.updated_us"
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
        values = (account, user.name, user.is_active, user.created_us, user.updated_us)
        self._asked(_PUT, values)

    def find_registered(self, account: str, name: str) -> Registered | None:
        """See `stores.registry.Registry`."""
        return next(iter(self._asked(_ONE, (account, name))), None)

    def _asked(self, statement: str, values: tuple[str | int, ...]) -> list[Registered]:
        with store_errors(self._path):
            connection = connect(self._path)
            try:
                rows = connection.execute(statement, values).fetchall()
            finally:
                connection.close()
        return [
            Registered(name, bool(active), created, updated)
            for name, active, created, updated in rows
        ]
