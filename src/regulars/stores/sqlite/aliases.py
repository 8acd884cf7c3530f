"""Other names of people, as the writer needs them: rows that come under one are its person's."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from regulars.model.generation import Generation

ALIASES_MAX: Final = 100_000
"""So many are kept in memory; beyond them rows stay under the name they came with."""


class Aliases:
    """The aliases this process knows."""

    def __init__(self) -> None:
        self._person: dict[tuple[str, str | None], str] = {}

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Learn them anew."""
        rows = connection.execute("SELECT account, name, person FROM alias LIMIT ?", (ALIASES_MAX,))
        self._person = {(account, name): person for account, name, person in rows}

    def person(self, account: str, name: str) -> str:
        """Return whose name it is: an alias' person, otherwise the name itself."""
        return self._person.get((account, name), name)

    def applied(self, rows: Sequence[Generation]) -> Sequence[Generation]:
        """Return the rows, those under an alias as their person's."""
        person = self._person
        if not person:
            return rows
        return [
            row
            if (found := person.get((row.account, row.end_user))) is None
            else replace(row, end_user=found)
            for row in rows
        ]
