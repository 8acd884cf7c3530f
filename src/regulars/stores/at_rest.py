"""How one store's names are kept, from its settings and the keys beside it."""

from datetime import date, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

from regulars.config.settings import IdentitySettings
from regulars.identity.at_rest import PLAIN, AtRest, pseudonym_of
from regulars.stores.identity_key import identity_keys

NAMES_CACHED_MAX: Final = 50_000


def at_rest(settings: IdentitySettings, store: Path, today: date) -> AtRest:
    """Return how names are kept. Reads the keys once: a rotation asks for a restart.

    Raises:
        StoreError: the file of the keys cannot be used.
    """
    if settings.at_rest == "plain":
        return PLAIN
    keys = identity_keys(store)
    if settings.at_rest == "encrypted":
        from regulars.identity.sealed import Seals  # noqa: PLC0415 - loads OpenSSL

        seals = Seals([one.key for one in keys])
        return AtRest(kept=lru_cache(NAMES_CACHED_MAX)(seals.seal), shown=seals.shown)
    made = keys[-1].made
    open_until = None if made is None else made + timedelta(days=settings.rotation_window_days)
    earlier = keys[:-1] if open_until is not None and today < open_until else ()
    return AtRest(
        kept=lru_cache(NAMES_CACHED_MAX)(partial(pseudonym_of, keys[-1].key)),
        # The newest first: most people who come were there lately.
        earlier=tuple(partial(pseudonym_of, one.key) for one in reversed(earlier)),
    )
