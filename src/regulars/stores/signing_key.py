"""A key that never rotates, in a file beside the store, never in it.

Of it are made the secrets of `signed` API keys, and the pseudonyms that keys with `personal_ids`
`pseudonymise` give. Whoever has a copy of the store alone can prove no user, and try no names.
Losing the file ends every signing secret, and makes new users of those people.
"""

import hmac
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from regulars.identity.at_rest import KeptName, pseudonym_of
from regulars.identity.signing import SigningSecret, signing_secret
from regulars.model.errors import UnavailableError
from regulars.stores.key_file import make_once

KEY_BYTES: Final = 32
_PERSONAL: Final = b"regulars-personal-v1"


def signing_secrets(store: Path) -> SigningSecret:
    """Return what finds a store's signing secrets; the key is made and read at the first call.

    What is returned raises UnavailableError where the file cannot be used.
    """
    key = _key_once(store)

    def secret(account: str, name: str) -> str:
        return signing_secret(key(), account, name)

    return secret


def personal_pseudonyms(store: Path) -> KeptName:
    """Return what gives ids pseudonyms that stay, whatever happens to the identity keys.

    What is returned raises UnavailableError where the file cannot be used.
    """
    key = _key_once(store)

    def pseudonym(account: str, user: str) -> str:
        return pseudonym_of(hmac.digest(key(), _PERSONAL, "sha256"), account, user)

    return pseudonym


def _key_once(store: Path) -> Callable[[], bytes]:
    path = store.with_name(f"{store.name}.signing-key")
    return cache(lambda: _key(path))


def _key(path: Path) -> bytes:
    try:
        if not path.exists():
            make_once(path, secrets.token_hex(KEY_BYTES) + "\n")
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as exc:
        raise _unusable(path) from exc
    if len(key) != KEY_BYTES:
        raise _unusable(path)
    return key


def _unusable(path: Path) -> UnavailableError:
    return UnavailableError(f"the signing key {path.name!r} cannot be used: put it back as it was")
