"""Make end-user ids that are stable, private and of one form, in the application itself.

For programs that call the gateway: it needs nothing but the standard library and nothing else
of this package. The same in JavaScript: docs/ids.md; both agree on `tests/data/stable_ids.json`.
"""

import hmac
import re
from hashlib import sha256
from typing import Final
from unicodedata import normalize

SECRET_BYTES_MIN: Final = 16
INTERNAL_ID_CHARS_MAX: Final = 1024
DIGITS: Final = 32
"""Hex digits of an id, 128 bits: no two users of one application ever meet."""

_NAMESPACE: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_LABEL: Final = b"regulars-id-v1"
_PROOF_LABEL: Final = b"regulars-proof-v1"
_NONCE: Final = re.compile(r"[A-Za-z0-9_-]{0,64}")


def stable_user_id(namespace: str, internal_id: str, secret: str | bytes) -> str:
    """Return the id to send as `user` for one of your own users: `shop_3f0c…`, always the same.

    Nobody without the secret can tell who it is or make another's. Keep one secret per
    application for good: another secret makes new users of all. Accents may come composed or
    not; otherwise every character counts.

    Raises:
        ValueError: a namespace that is not small letters, digits and hyphens, an empty or
            over-long id, or a secret that could be guessed. The message never repeats them.
    """
    if not _NAMESPACE.fullmatch(namespace):
        raise ValueError("namespace: use 1 to 32 small letters, digits and hyphens, a letter first")
    if not 0 < len(internal_id) <= INTERNAL_ID_CHARS_MAX:
        raise ValueError(f"internal_id: use 1 to {INTERNAL_ID_CHARS_MAX} characters")
    key = secret.encode() if isinstance(secret, str) else secret
    if len(key) < SECRET_BYTES_MIN:
        raise ValueError(f"secret: use at least {SECRET_BYTES_MIN} random bytes")
    message = b"\0".join((_LABEL, namespace.encode(), normalize("NFC", internal_id).encode()))
    return f"{namespace}_{hmac.new(key, message, sha256).hexdigest()[:DIGITS]}"


def prove_user(
    user: str, secret: str, *, expires_at_s: int, account: str = "default", nonce: str = ""
) -> str:
    """Return the value of `X-Regulars-User-Proof` for a request that names this user.

    For keys whose policy is `signed`: the application's server makes it, its browser or mobile
    client sends it. `secret` is the key's signing secret. With a `nonce` (letters, digits, `_`
    and `-`) it is good for one request, without one until it expires.

    Raises:
        ValueError: a nonce of other characters or over 64 of them.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError("nonce: use at most 64 letters, digits, `_` and `-`")
    message = proof_message(user, account=account, expires_at_s=expires_at_s, nonce=nonce)
    digest = hmac.new(secret.encode(), message, sha256).hexdigest()
    return f"v1.{expires_at_s}.{nonce}.{digest}"


def proof_message(user: str, *, account: str, expires_at_s: int, nonce: str) -> bytes:
    """Return the bytes that a proof signs: no part of them can be taken for another."""
    parts = (_PROOF_LABEL, account.encode(), str(expires_at_s).encode(), nonce.encode())
    return b"\0".join((*parts, normalize("NFC", user).encode("utf-8", "surrogatepass")))
