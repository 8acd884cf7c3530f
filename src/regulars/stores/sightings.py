"""What was noticed of ids beside the ledger: on how many addresses, and how many came new."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from regulars.identity.at_rest import AtRest


class Crowd(NamedTuple):
    """One id on many addresses: about how many on the day it had most."""

    user: str
    addresses: int


class Newcomers(NamedTuple):
    """New ids that a key brought in one hour; `continuing` ones went on with a conversation.

    `hour` counts hours since 1970 (UTC). `examples` are masked.
    """

    hour: int
    key_hash: str
    users: int
    continuing: int
    examples: tuple[str, ...]


class Noticed(Protocol):
    """Tells what was noticed. Blocking. Every method raises StoreError."""

    def crowds(self, account: str, *, from_us: int | None, to_us: int | None) -> list[Crowd]:
        """Return ids and their addresses, most first."""
        ...

    def newcomers(self, account: str, *, from_us: int | None, to_us: int | None) -> list[Newcomers]:
        """Return hours in which new ids came, by time."""
        ...


class Sightings(Noticed, Protocol):
    """Keeps what is noticed, for some weeks. Blocking. Every method raises StoreError."""

    def salt(self, day: int) -> bytes:
        """Return a day's salt, the same for all workers; those of days before are thrown away."""
        ...

    def add(
        self,
        day: int,
        crowds: Mapping[tuple[str, str], int],
        newcomers: Sequence[tuple[str, Newcomers]],
        *,
        unless: Callable[[], bool],
    ) -> None:
        """Add what one worker noticed: buckets by (account, user), and (account, newcomers).

        `unless` is asked when nobody else can write any more: where it says so, nothing is added.
        """
        ...


class NoticedById:
    """Plays `Noticed`, with ids as they may be shown."""

    def __init__(self, noticed: Noticed, at_rest: AtRest) -> None:
        self._noticed = noticed
        self._at_rest = at_rest

    def crowds(self, account: str, *, from_us: int | None, to_us: int | None) -> list[Crowd]:
        """See `Noticed`."""
        found = self._noticed.crowds(account, from_us=from_us, to_us=to_us)
        return [one._replace(user=self._at_rest.shown(account, one.user)) for one in found]

    def newcomers(self, account: str, *, from_us: int | None, to_us: int | None) -> list[Newcomers]:
        """See `Noticed`."""
        return self._noticed.newcomers(account, from_us=from_us, to_us=to_us)
