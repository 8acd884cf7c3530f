"""What this worker notices of ids, beside the request path: put into the store once a minute."""

import time
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from regulars.identity.continued import Conversations
from regulars.identity.crowds import bucket_of
from regulars.ledger.rounds import Rounds
from regulars.model.caller import ApiKey
from regulars.reports.identifiers import masked
from regulars.stores.sightings import Newcomers, Sightings

PUT_S: Final = 60.0
PEOPLE_MAX: Final = 50_000
"""Users whose buckets are in memory; those on one address go first."""
ADDRESSES_MAX: Final = 50_000
"""Addresses whose buckets are ready; finding one anew takes about 1 us."""
WRITTEN_MIN: Final = 32
"""Buckets of an id that are worth keeping: who has a few addresses leaves no trace."""
KEYS_MAX: Final = 10_000
EXAMPLES_MAX: Final = 5
DAY_S: Final = 86_400
HOUR_S: Final = 3600


class _Came(Struct):
    """New ids of one key and hour."""

    users: int = 0
    continuing: int = 0
    examples: list[str] = msgspec.field(default_factory=list)


class SightingsKeeper:
    """Notices on the event loop, writes on a thread of its own."""

    def __init__(
        self,
        store: Sightings,
        now_s: Callable[[], float] = time.time,
        *,
        erased: Callable[[], object] = lambda: None,
    ) -> None:
        """`erased` changes whenever somebody is erased: then what is in memory is forgotten."""
        self._store = store
        self._now_s = now_s
        self._erased = erased
        self._erased_was: object = None
        self._day = -1
        self._salt: bytes | None = None
        self._masks: dict[str, int] = {}
        self._buckets: dict[tuple[str, str], int] = {}
        self._written: dict[tuple[str, str], int] = {}
        self._came: dict[tuple[str, str, int], _Came] = {}
        self._conversations = Conversations()
        # Soft state: what could not be written now is lost, or comes with the next put.
        self._rounds = Rounds(
            self.put, period_s=PUT_S, failed="sightings_not_kept", finally_too=True
        )

    def saw(self, account: str, user: str, address: str) -> None:
        """Notice that an id was used from an address. On the request path: under 1 us."""
        mask = self._masks.get(address)
        if mask is None:
            mask = self._mask(address)
            if not mask:
                return  # before the day's salt is known
        who = (account, user)
        known = self._buckets.get(who)
        if known is None:
            if len(self._buckets) < PEOPLE_MAX:
                self._buckets[who] = mask
        elif not known & mask:
            self._buckets[who] = known | mask

    def came(self, key: ApiKey, user: str, messages: bytes) -> None:
        """Notice an id that nobody has seen before, with what it came to say."""
        continuing = self._conversations.continues(key.account, messages)
        slot = (key.account, key.hash, int(self._now_s()) // HOUR_S)
        noted = self._came.get(slot)
        if noted is None:
            if len(self._came) >= KEYS_MAX:
                return
            noted = self._came[slot] = _Came()
        noted.users += 1
        noted.continuing += continuing
        if len(noted.examples) < EXAMPLES_MAX:
            noted.examples.append(masked(user))

    def start(self) -> None:
        """Begin to write."""
        self._rounds.start()

    def stop(self) -> None:
        """Write what is left, within a bound."""
        self._rounds.stop()

    def put(self) -> None:
        """Put what was noticed into the store. Blocking. Raises StoreError."""
        today = int(self._now_s()) // DAY_S
        now = self._erased()
        if now != self._erased_was:
            self._forget()
            self._erased_was = now
        crowds = {
            who: buckets
            for who, buckets in self._buckets.copy().items()
            if buckets.bit_count() >= WRITTEN_MIN and self._written.get(who) != buckets
        }
        came, self._came = self._came, {}
        told = [
            (account, Newcomers(hour, key, one.users, one.continuing, tuple(one.examples)))
            for (account, key, hour), one in came.items()
        ]
        if crowds or told:
            # Whoever is erased just now must not come back with it.
            self._store.add(self._day, crowds, told, unless=lambda: self._erased() != now)
            self._written.update(crowds)
        if today != self._day:
            self._salt, self._day = self._store.salt(today), today
            self._forget()
        elif len(self._buckets) >= PEOPLE_MAX:
            self._buckets = {
                who: buckets
                for who, buckets in self._buckets.copy().items()
                if buckets.bit_count() > 1
            }

    def _forget(self) -> None:
        self._masks, self._buckets, self._written = {}, {}, {}

    def _mask(self, address: str) -> int:
        if self._salt is None:
            return 0
        if len(self._masks) >= ADDRESSES_MAX:
            self._masks = {}
        mask = self._masks[address] = bucket_of(self._salt, address)
        return mask
