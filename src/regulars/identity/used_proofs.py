"""Proofs that are good once: which have been used. Bounded; the caller tells the time."""

from collections import OrderedDict
from typing import Final

from regulars.model.errors import RateLimitedError

USED_MAX: Final = 200_000
"""Per process: forty a second that live an hour. Full of living ones, it takes no more."""


class UsedProofs:
    """Remembers nonces until their proofs expire."""

    def __init__(self, *, used_max: int = USED_MAX) -> None:
        self._used_max = used_max
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def use(self, key_hash: str, nonce: str, *, expires_at_s: float, now_s: float) -> bool:
        """Use a nonce; False where it has been used.

        Raises:
            RateLimitedError: there is no room to remember it.
        """
        spent = (key_hash, nonce)
        if spent in self._until:
            return False
        if len(self._until) >= self._used_max:
            self._drop_expired(now_s)
        if len(self._until) >= self._used_max:
            raise RateLimitedError(
                "X-Regulars-User-Proof: too many single-use proofs are alive; let them expire sooner",
                retry_after_s=60.0,
            )
        self._until[spent] = expires_at_s
        return True

    def _drop_expired(self, now_s: float) -> None:
        for spent in [one for one, until_s in self._until.items() if until_s <= now_s]:
            del self._until[spent]
