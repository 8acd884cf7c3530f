"""Bringing all names to how they are to be kept now: after a switch or a rotation."""

from dataclasses import dataclass

from regulars.identity.at_rest import PSEUDONYM, AtRest, ShownName
from regulars.stores.base import People

ERASED = "erased-"


@dataclass(frozen=True, slots=True)
class Renamed:
    """How many names were changed; `stuck` are pseudonyms, which lead back to no id."""

    changed: int
    stuck: int


def rename_all(people: People, account: str, at_rest: AtRest, opened: ShownName) -> Renamed:
    """Rename everyone who stands under another name than `at_rest` would keep. Again goes on.

    `opened` reads names that are encrypted. Raises StoreError: those before are renamed.
    """
    renamed = stuck = 0

    def kept(name: str) -> str | None:
        user = opened(account, name)
        if PSEUDONYM.fullmatch(user):
            return None
        return user if user.startswith(ERASED) else at_rest.kept(account, user)

    for name in people.names(account):
        wanted = kept(name)
        stuck += wanted is None and at_rest.kept(account, name) != name
        renamed += wanted is not None and people.rename(account, name, wanted)
    for name, person in people.aliases(account):
        wanted = kept(name) or name
        if wanted != name:
            people.unalias(account, name)
        if (wanted, kept(person) or person) != (name, person):
            people.alias(account, wanted, kept(person) or person)
    people.compact()
    return Renamed(renamed, stuck)
