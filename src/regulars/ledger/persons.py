"""Which ids are one person's, as this worker knows it: so that they are warm in the same place.

Rows keep the id that was sent; the ledger's writer gives them their person's name by itself.
"""

from typing import Final

from regulars.ledger.rounds import Rounds
from regulars.stores.base import People

LOOK_S: Final = 2.0
"""How often the store is asked whether a name changed: one small read."""


class Persons:
    """Learns the aliases of one account on a thread of its own."""

    def __init__(self, people: People, account: str) -> None:
        self._people = people
        self._account = account
        self._person: dict[tuple[str, str], str] = {}
        self._stamp: object = None
        # Where it fails, what is known stays; only warmth depends on it.
        self._rounds = Rounds(self.look, period_s=LOOK_S, failed="aliases_not_read")

    def person(self, account: str, name: str) -> str:
        """Return whose name it is: an alias' person, otherwise the name itself."""
        person = self._person
        return person.get((account, name), name) if person else name

    def look(self) -> None:
        """Learn the aliases anew where a name has changed. Blocking. Raises StoreError."""
        stamp = self._people.names_stamp()
        if stamp != self._stamp:
            aliases = self._people.aliases(self._account)
            self._person = {(self._account, name): person for name, person in aliases}
            self._stamp = stamp

    def start(self) -> None:
        """Begin to look."""
        self._rounds.start()

    def stop(self) -> None:
        """End, within a bound."""
        self._rounds.stop()
