"""What people are called by now, for a connection that writes what requests of before said."""

import sqlite3
from collections.abc import Sequence

from regulars.model.generation import Generation
from regulars.stores.sqlite.aliases import Aliases
from regulars.stores.sqlite.erased import ErasedPeople
from regulars.stores.sqlite.stamp import NEVER, Stamp, stamp


class NamesNow:
    """The aliases and erasures one connection knows; they hold while `stamp` is the store's."""

    def __init__(self) -> None:
        self._erased = ErasedPeople()
        self._aliases = Aliases()
        self.stamp: Stamp = NEVER

    def refresh(self, connection: sqlite3.Connection) -> bool:
        """Say whether anything changed since the last call, and learn it."""
        now = stamp(connection)
        if now == self.stamp:
            return False
        self._erased.refresh(connection)
        self._aliases.refresh(connection)
        self.stamp = now
        return True

    def applied(self, rows: Sequence[Generation]) -> Sequence[Generation]:
        """Return the rows by these names: those of aliases, late ones of erased people."""
        return self._erased.applied(self._aliases.applied(rows))

    def person(self, account: str, name: str) -> str:
        """Return whose name it is."""
        return self._aliases.person(account, name)

    def is_erased(self, account: str, name: str, created_at_us: int) -> bool:
        """Say whether the user of a request of then has been erased since."""
        return self._erased.anonymous(account, name, created_at_us) is not None
