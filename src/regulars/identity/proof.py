"""Proof that the application's server vouches for an end user: our own form, or a JWT (HS256).

Both are bound to an account and expire; one with a nonce (`jti`) is good once. Only HS256 is
read, whatever a token's header asks for, so there is no algorithm to be talked into.
"""

import hmac
import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from regulars.ids import proof_message
from regulars.model.errors import ForbiddenError

PROOF_HEADER: Final = b"x-regulars-user-proof"
PROOF_BYTES_MAX: Final = 4096
LIFE_S_MAX: Final = 86_400
"""A proof that says it lives longer is refused: a stolen one would be good for too long."""

_OWN: Final = re.compile(r"v1\.(\d{1,12})\.([A-Za-z0-9_-]{0,64})\.([0-9a-f]{64})")
_JWT: Final = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)


class Proof(Struct, frozen=True, gc=False):
    """What was proven: a user, until when, and the nonce that makes it good only once."""

    user: str
    expires_at_s: float
    nonce: str | None


class _Head(Struct):
    alg: str


class _Claims(Struct):
    sub: str
    exp: float
    aud: str | list[str]
    jti: str | None = None
    nbf: float | None = None


_HEAD: Final = msgspec.json.Decoder(_Head)
_CLAIMS: Final = msgspec.json.Decoder(_Claims)


def read_proof(
    value: bytes, named: str | None, *, secret: str, account: str, now_s: float
) -> Proof:
    """Verify a header's proof for the user that the request itself names, if it names one.

    Raises:
        ForbiddenError: malformed, forged, expired, for another account or another user. The
            message says which and what helps, never the id.
    """
    if len(value) > PROOF_BYTES_MAX:
        raise _refused(f"has {len(value)} bytes; send at most {PROOF_BYTES_MAX}")
    text = value.decode("latin-1").strip()
    own = _OWN.fullmatch(text)
    if own is not None:
        proof = _own(own, named, secret, account)
    elif (jwt := _JWT.fullmatch(text)) is not None:
        proof = _jwt(jwt, secret, account, now_s)
    else:
        raise _refused("is neither `v1.<expires>.<nonce>.<hmac>` nor a JWT")
    if proof.expires_at_s <= now_s:
        raise _refused("has expired; ask your server for a new one")
    if proof.expires_at_s > now_s + LIFE_S_MAX:
        raise _refused(f"lives longer than {LIFE_S_MAX} s; let it expire sooner")
    if named is not None and named != proof.user:
        raise _refused("is for another user than the request names")
    return proof


def _own(found: re.Match[str], named: str | None, secret: str, account: str) -> Proof:
    if named is None:
        raise _refused("proves a user, but the request names none; send it in `user`")
    expires, nonce, digest = found.groups()
    message = proof_message(named, account=account, expires_at_s=int(expires), nonce=nonce)
    wanted = hmac.new(secret.encode(), message, sha256).hexdigest()
    # A leading zero is another text for the same time: the signature is of the number.
    if not hmac.compare_digest(wanted, digest) or expires != str(int(expires)):
        raise _refused("does not verify: wrong secret, account, user, expiry or nonce")
    return Proof(named, int(expires), nonce or None)


def _jwt(found: re.Match[str], secret: str, account: str, now_s: float) -> Proof:
    head, payload, signature = found.groups()
    wanted = hmac.new(secret.encode(), f"{head}.{payload}".encode(), sha256).digest()
    # The signature comes first: nothing a stranger wrote is parsed.
    if not hmac.compare_digest(wanted, _unbase64(signature)):
        raise _refused("does not verify: wrong secret, or changed on its way")
    try:
        algorithm, claims = _HEAD.decode(_unbase64(head)).alg, _CLAIMS.decode(_unbase64(payload))
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _refused("lacks a claim; it needs sub, exp (seconds) and aud (the account)") from exc
    if algorithm != "HS256":
        raise _refused("is not signed with HS256")
    if account not in ([claims.aud] if isinstance(claims.aud, str) else claims.aud):
        raise _refused("is for another account (claim aud)")
    if claims.nbf is not None and claims.nbf > now_s:
        raise _refused("is not valid yet (claim nbf)")
    return Proof(claims.sub, claims.exp, claims.jti)


def _unbase64(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (Base64Error, ValueError) as exc:
        raise _refused("is not base64url") from exc


def _refused(reason: str) -> ForbiddenError:
    return ForbiddenError(f"X-Regulars-User-Proof: {reason}")
