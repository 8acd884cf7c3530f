"""How many users nobody has seen before a key may bring in an hour.

Ids that change with every request would fill the ledger's dictionary and make reports useless.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from regulars.model.caller import ApiKey
from regulars.model.errors import RateLimitedError

HOUR_S: Final = 3600.0
SEEN_MAX: Final = 100_000
KEYS_MAX: Final = 10_000

IsKnown = Callable[[str, str, str], bool]
"""Whether the ledger knows a user: account, what it calls him, the id he came with."""


class NewUsers:
    """Counts new users by key in whole hours, in each process for itself."""

    def __init__(self, is_known: IsKnown, *, per_hour_max: int) -> None:
        self._is_known = is_known
        self._per_hour_max = per_hour_max
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._hour = -1
        self._counts: dict[str, int] = {}

    def admit(self, key: ApiKey, user: str, came_as: str, now_s: Callable[[], float]) -> bool:
        """Let a known user pass, and count a new one; say whether it is new.

        Raises:
            RateLimitedError: the key has brought as many as it may this hour.
        """
        seen = (key.account, user)
        if seen in self._seen:
            self._seen.move_to_end(seen)
            return False
        new = not self._is_known(key.account, user, came_as)
        if new:
            self._count(key, now_s())
        self._seen[seen] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        return new

    def _count(self, key: ApiKey, now_s: float) -> None:
        hour = int(now_s // HOUR_S)
        if hour != self._hour or len(self._counts) >= KEYS_MAX:
            self._hour, self._counts = hour, {}
        most = key.users.new_users_per_hour_max or self._per_hour_max
        count = self._counts.get(key.hash, 0)
        if count >= most:
            raise RateLimitedError(
                f"user: API key {key.label} has brought {most} new users this hour, as many as it "
                "may; if they are not new people, send the same id with each request of a person",
                retry_after_s=(hour + 1) * HOUR_S - now_s,
            )
        self._counts[key.hash] = count + 1
