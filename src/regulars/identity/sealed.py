"""Ids kept encrypted (AES-256-GCM): whoever has the key reads them, the store alone says nothing.

The nonce is a keyed digest of account and id, so it never stands for two texts, and the same id
always gets the same name: the digest is the blind index by which a user is found. Whoever sees
the store learns which rows are of one user, and his id's length to 32 bytes, no more.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX: Final = "sealed_"
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
PADDED_TO_BYTES: Final = 32
_INDEX_LABEL: Final = b"regulars-sealed-index-v1"
_KEY_LABEL: Final = b"regulars-sealed-key-v1"


class Seals:
    """Seals with the last of the keys, opens what any of them sealed."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._index_key = hmac.digest(keys[-1], _INDEX_LABEL, "sha256")
        # The newest first: nearly all names are its.
        self._ciphers = [AESGCM(hmac.digest(key, _KEY_LABEL, "sha256")) for key in reversed(keys)]

    def seal(self, account: str, user: str) -> str:
        """Return the name an id is kept under."""
        text = user.encode("utf-8", "surrogatepass")
        # No id holds NUL.
        text += b"\0" * (-len(text) % PADDED_TO_BYTES)
        about = account.encode()
        nonce = hmac.digest(self._index_key, about + b"\0" + text, "sha256")[:NONCE_BYTES]
        sealed = nonce + self._ciphers[0].encrypt(nonce, text, about)
        return PREFIX + urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, account: str, name: str) -> str | None:
        """Return the id a name was made of; None where no key here made it."""
        if not name.startswith(PREFIX):
            return None
        letters = name.removeprefix(PREFIX)
        try:
            sealed = urlsafe_b64decode(letters + "=" * (-len(letters) % 4))
        except ValueError:
            return None
        if len(sealed) < NONCE_BYTES + TAG_BYTES:
            return None
        for cipher in self._ciphers:
            try:
                text = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], account.encode())
            except InvalidTag:
                continue
            return text.rstrip(b"\0").decode("utf-8", "surrogatepass")
        return None

    def shown(self, account: str, name: str) -> str:
        """Return what to show for a name: the id, or the name where it is no sealed one."""
        return self.open(account, name) or name
