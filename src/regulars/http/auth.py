"""Who is calling: the key's digest, looked up through a small cache."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from regulars.model.caller import ApiKey, Role, key_hash
from regulars.model.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from regulars.stores.base import Keys, StoreError

CACHE_S: Final = 5.0
"""How long a looked-up key is believed: a disabled or expired one works that much longer at most."""
STALE_S: Final = 600.0
"""How long a known key goes on working while the store is away."""
CACHE_KEYS_MAX: Final = 10_000
KEY_BYTES_MAX: Final = 512
HEADER_DIGEST_BYTES: Final = 32

_HOWTO: Final = 'send the header "Authorization: Bearer sk-reg-…"'


class Authenticator:
    """Finds the key of a request. Keeps digests only, never secrets."""

    def __init__(self, keys: Keys, clock: Callable[[], float]) -> None:
        self._keys = keys
        self._clock = clock
        self._known: OrderedDict[str, tuple[ApiKey | None, float]] = OrderedDict()
        self._recent: OrderedDict[bytes, tuple[ApiKey, float]] = OrderedDict()

    async def caller(self, authorization: bytes | None) -> ApiKey:
        """Return the key that the header holds.

        Raises:
            UnauthenticatedError: none, unknown or disabled.
            UnavailableError: the store cannot be asked and the key is not known from before.
        """
        if authorization is None:
            raise UnauthenticatedError(f"no API key; {_HOWTO}")
        digest = header_digest(authorization)
        key = self.known(digest)
        if key is not None:
            return key
        key = await self._identify(authorization)
        self._recent[digest] = (key, self._clock() + CACHE_S)
        if len(self._recent) > CACHE_KEYS_MAX:
            self._recent.popitem(last=False)
        return key

    def known(self, digest: bytes) -> ApiKey | None:
        """Return the key of a header with this digest; None where it is to be looked at again."""
        recent = self._recent.get(digest)
        return recent[0] if recent is not None and self._clock() < recent[1] else None

    async def _identify(self, authorization: bytes) -> ApiKey:
        scheme, _, secret = authorization.partition(b" ")
        secret = secret.strip()
        if scheme.lower() != b"bearer" or not secret or len(secret) > KEY_BYTES_MAX:
            raise UnauthenticatedError(f"the authorization header is not a Bearer key; {_HOWTO}")
        digest = key_hash(secret.decode("latin-1"))
        known = self._known.get(digest)
        # A key that is not known is remembered too, so that guessing does not reach the store.
        if known is not None and known[0] is None and self._clock() - known[1] < CACHE_S:
            key = None
        else:
            key = await self._look_up(digest, known)
        if key is None:
            raise UnauthenticatedError("this API key is not known here; check it, or create one")
        why_not = key.why_not(time.time_ns() // 1_000_000)
        if why_not is not None:
            raise UnauthenticatedError(f"API key {key.label} {why_not}")
        return key

    async def _look_up(
        self, digest: str, known: tuple[ApiKey | None, float] | None
    ) -> ApiKey | None:
        try:
            key = await asyncio.to_thread(self._keys.find_key, digest)
        except StoreError as exc:
            if known is not None and self._clock() - known[1] < STALE_S:
                return known[0]
            raise UnavailableError(
                "the store of keys cannot be asked now; try again shortly", retry_after_s=2.0
            ) from exc
        self._known[digest] = (key, self._clock())
        self._known.move_to_end(digest)
        if len(self._known) > CACHE_KEYS_MAX:
            self._known.popitem(last=False)
        return key


def header_digest(authorization: bytes) -> bytes:
    """Return what stands for an authorization header, so that no secret has to be kept."""
    return blake2b(authorization, digest_size=HEADER_DIGEST_BYTES).digest()


def require_inference(key: ApiKey) -> ApiKey:
    """Let inference keys through."""
    if key.role is not Role.INFERENCE:
        raise ForbiddenError(
            f"API key {key.label} is a management key and may not chat; use an inference key"
        )
    return key


def require_management(key: ApiKey) -> ApiKey:
    """Let management keys through."""
    if key.role is not Role.MANAGEMENT:
        raise ForbiddenError(
            f"API key {key.label} is an inference key; reports need a management key "
            "(regulars keys create --management)"
        )
    return key
