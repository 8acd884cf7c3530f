"""Bringing all names to how they are to be kept now: after a switch or a rotation."""

from dataclasses import dataclass, replace
from typing import Final, Protocol

from regulars.identity.at_rest import PSEUDONYM, AtRest, ShownName
from regulars.stores.base import People
from regulars.stores.registry import Registry

ERASED = "erased-"
REGISTERED_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Renamed:
    """How many names were changed; `stuck` are pseudonyms, which lead back to no id."""

    changed: int
    stuck: int


class Named(People, Registry, Protocol):
    """What keeps names."""


def rename_all(people: Named, account: str, at_rest: AtRest, opened: ShownName) -> Renamed:
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
    for person in people.registered(account, limit=REGISTERED_MAX):
        if person.display_name is not None:
            shown = kept(person.display_name)
            readable = None if shown is None or PSEUDONYM.fullmatch(shown) else shown
            people.register(account, replace(person, display_name=readable))
    people.compact()
    return Renamed(renamed, stuck)
