"""Under which names one user may stand in a store, given the id requests send."""

from typing import Protocol

from regulars.identity.at_rest import PSEUDONYM, AtRest


class Knowing(Protocol):
    """What is asked about names."""

    def knows(self, account: str, user: str) -> bool:
        """Say whether rows of this user have been kept."""
        ...

    def aliases(self, account: str) -> list[tuple[str, str]]:
        """Return all (name, person)."""
        ...

    def person(self, account: str, name: str) -> str:
        """Return whose name it is: an alias' person, otherwise the name itself."""
        ...


class Merging(Knowing, Protocol):
    """What gives a person another name."""

    def alias(self, account: str, name: str, person: str) -> None:
        """Make `name` another name of `person`: rows that are there, and all that come."""
        ...


def name_of(store: Knowing, at_rest: AtRest, account: str, user: str) -> str:
    """Return what the ledger calls a user, asked for by id or by pseudonym.

    A user who came before a rotation or a switch only is found by the name of then.
    """
    if PSEUDONYM.fullmatch(user):
        return store.person(account, user)
    kept = at_rest.kept(account, user)
    names = [kept, *at_rest.earlier(account, user), user]
    people = [store.person(account, name) for name in names]
    return next((person for person in people if store.knows(account, person)), people[0])


def names_of(store: Knowing, at_rest: AtRest, account: str, user: str) -> tuple[str, ...]:
    """Return every name a user may stand under, aliases with them; `name_of` first."""
    person = name_of(store, at_rest, account, user)
    names = [person, at_rest.kept(account, user), user]
    names += at_rest.earlier(account, user)
    names += [name for name, whose in store.aliases(account) if whose == person]
    return tuple(dict.fromkeys(names))


def merge(store: Merging, at_rest: AtRest, account: str, *, other: str, user: str) -> bool:
    """Make `other` another name of a user, both asked for by id; False: they are one already."""
    name, person = (name_of(store, at_rest, account, each) for each in (other, user))
    if name == person:
        return False
    store.alias(account, name, person)
    return True
