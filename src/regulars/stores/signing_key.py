"""The key that secrets of `signed` API keys are made of: a file beside the store, never in it.

Whoever has a copy of the store alone can prove no user. Losing the file ends every signing secret.
"""

import secrets
from functools import cache
from pathlib import Path
from typing import Final

from regulars.identity.signing import SigningSecret, signing_secret
from regulars.model.errors import UnavailableError
from regulars.stores.key_file import make_once

KEY_BYTES: Final = 32


def signing_secrets(store: Path) -> SigningSecret:
    """Return what finds a store's signing secrets; the key is made and read at the first call.

    What is returned raises UnavailableError where the file cannot be used.
    """
    path = store.with_name(f"{store.name}.signing-key")

    @cache
    def key() -> bytes:
        return _key(path)

    def secret(account: str, name: str) -> str:
        return signing_secret(key(), account, name)

    return secret


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
