"""What may be done about one end user, asked for by an id as requests send it. All of it blocks."""

import time
from pathlib import Path
from typing import Any

from regulars.identity.at_rest import AtRest
from regulars.ledger.erase import erase_user
from regulars.ledger.export_user import export_user
from regulars.stores.base import Reports
from regulars.stores.names import merge, name_of, names_of
from regulars.stores.sqlite import SqliteStore


class OnePerson:
    """Erases, exports and merges the users of one account; `reports` answers by id."""

    def __init__(self, store: SqliteStore, at_rest: AtRest, reports: Reports, account: str) -> None:
        self._store, self._at_rest = store, at_rest
        self._reports, self._account = reports, account

    def erase(self, user: str, *, by: str) -> dict[str, Any]:
        """Take the id out of everything and return the signed receipt. Raises StoreError.

        `by` is the hash of the key that asked, for the record.
        """
        names = names_of(self._store, self._at_rest, self._account, user)
        return erase_user(self._store, self._account, names, now_s=time.time(), by=by)

    def export(self, user: str, target: Path) -> int:
        """Write all about him into a new zip file; return how many generations. Raises OSError."""
        return export_user(self._reports, self._store, (self._account, user), target)

    def merge(self, other: str, user: str) -> bool:
        """Make `other` another name of the user, past and to come; False: both are one already."""
        return merge(self._store, self._at_rest, self._account, other=other, user=user)

    def subject(self, user: str) -> str:
        """Return what receipts and the record of changes call him: a digest, never the id."""
        name = name_of(self._store, self._at_rest, self._account, user)
        return self._store.subject(self._account, name)
