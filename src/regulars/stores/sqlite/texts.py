"""What ids of the dictionary tables stand for, remembered by who reads page after page."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final

from regulars.stores.sqlite.names import texts_of
from regulars.stores.sqlite.stamp import NEVER, stamp

TEXTS_KEPT_MAX: Final = 200_000
"""What is remembered of each kind before it begins anew."""

Known = dict[int | None, Any]


class Texts:
    """Looks ids up on one connection and remembers them.

    A text never changes its id, so what is remembered stays true; people are looked up anew
    after each erasure or merge, so that no page names one who is forgotten by then.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._words: Known = {None: None}
        self._people: Known = {None: None}
        self._stamp = NEVER

    def words(self, ids: Iterable[int | None]) -> Mapping[int | None, Any]:
        """Return the text of each id of `name`, None for None."""
        return self._learned("name", self._words, set(ids))

    def people(self, ids: Iterable[int | None]) -> Mapping[int | None, Any]:
        """Return what each id of `end_user` is called now, None for None."""
        if (now := stamp(self._connection)) != self._stamp:
            self._stamp = now
            self._people.clear()
        return self._learned("end_user", self._people, set(ids))

    def _learned(self, table: str, known: Known, wanted: set[int | None]) -> Known:
        # Not `wanted - known.keys()`, which walks all that is known.
        missing = {number for number in wanted if number not in known}
        if missing:
            if len(known) > TEXTS_KEPT_MAX:
                known.clear()
                missing = wanted
            numbers = [number for number in missing if number is not None]
            # An id without a text is nobody's any more.
            known |= {None: None} | dict.fromkeys(numbers)
            known |= texts_of(self._connection, table, numbers)
        return known
