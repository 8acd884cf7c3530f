"""How one store's names are kept, from its settings and the keys beside it."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

from regulars.config.settings import IdentitySettings
from regulars.identity.at_rest import PLAIN, AtRest, KeptName, pseudonym_of
from regulars.stores.base import StoreError
from regulars.stores.identity_key import IdentityKey, identity_key_path, identity_keys

log = logging.getLogger("regulars.stores")

NAMES_CACHED_MAX: Final = 50_000
LOOK_S: Final = 5.0
"""So long after a rotation a process may still use the key before."""


def at_rest(settings: IdentitySettings, store: Path, today: date) -> AtRest:
    """Return how names are kept by the keys that are there now.

    Raises:
        StoreError: the file of the keys cannot be used.
    """
    if settings.at_rest == "plain":
        return PLAIN
    keys = identity_keys(store)
    if settings.at_rest == "encrypted":
        from regulars.identity.sealed import Seals  # noqa: PLC0415 - loads OpenSSL

        seals = Seals([one.key for one in keys])
        before = [Seals([one.key]).seal for one in _open(settings, keys, today)]
        kept = lru_cache(NAMES_CACHED_MAX)(seals.seal)
        return AtRest(kept=kept, shown=seals.shown, earlier=_all(before))
    before = [partial(pseudonym_of, one.key) for one in _open(settings, keys, today)]
    kept = lru_cache(NAMES_CACHED_MAX)(partial(pseudonym_of, keys[-1].key))
    return AtRest(kept=kept, earlier=_all(before))


def at_rest_followed(
    settings: IdentitySettings, store: Path, clock: Callable[[], float] = time.monotonic
) -> AtRest:
    """Return the same for a process that runs on: a rotation is noticed within `LOOK_S`.

    Raises:
        StoreError: the file of the keys cannot be used. Later it is logged, and the keys stay.
    """
    if settings.at_rest == "plain":
        return PLAIN
    followed = _Followed(settings, store, clock)
    return AtRest(
        kept=lambda account, user: followed.now().kept(account, user),
        shown=lambda account, name: followed.now().shown(account, name),
        earlier=lambda account, user: followed.now().earlier(account, user),
    )


class _Followed:
    def __init__(self, settings: IdentitySettings, store: Path, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._now = at_rest(settings, store, _today())
        self._stamp = self._read_stamp()
        self._look_at_s = clock() + LOOK_S

    def now(self) -> AtRest:
        """Return how names are kept, by keys that were there a moment ago."""
        at_s = self._clock()
        if at_s >= self._look_at_s:
            self._look_at_s = at_s + LOOK_S
            self._look()
        return self._now

    def _look(self) -> None:
        try:
            stamp = self._read_stamp()
            if stamp != self._stamp:
                self._now = at_rest(self._settings, self._store, _today())
                self._stamp = stamp
        except (OSError, StoreError) as exc:
            log.warning("identity_keys_not_read reason=%r", str(exc))

    def _read_stamp(self) -> tuple[int, int, date]:
        # The day too: a window ends with one.
        found = identity_key_path(self._store).stat()
        return found.st_mtime_ns, found.st_ino, _today()


def _open(
    settings: IdentitySettings, keys: Sequence[IdentityKey], today: date
) -> Sequence[IdentityKey]:
    """Return earlier keys while their window is open, the newest first: most people came lately."""
    made = keys[-1].made
    until = None if made is None else made + timedelta(days=settings.rotation_window_days)
    return keys[-2::-1] if until is not None and today < until else ()


def _all(names: Sequence[KeptName]) -> Callable[[str, str], tuple[str, ...]]:
    return lambda account, user: tuple(name(account, user) for name in names)


def _today() -> date:
    return datetime.now(UTC).date()
