"""Secrets of `signed` keys, each made of one key and its name: the store holds only names."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Final

_LABEL: Final = b"regulars-signing-v1"

SigningSecret = Callable[[str, str], str]
"""From an account and a secret's name to the secret."""


def signing_secret(key: bytes, account: str, name: str) -> str:
    """Return the secret of a name, the same for ever under one key."""
    digest = hmac.digest(key, b"\0".join((_LABEL, account.encode(), name.encode())), "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")


def no_signing_secrets(_account: str, name: str) -> str:
    """Stand in where no key is `signed`."""
    raise LookupError(f"nothing is known of the signing secret {name!r}")
