"""Signed tokens of the pages: links, sessions and form tokens. Pure: time is an argument."""

import hmac
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

LINK: Final = "link"
SESSION: Final = "session"
LINK_LIFE_S: Final = 24 * 3600
SESSION_LIFE_S: Final = 7 * 24 * 3600
HOME: Final = "/activity"

_TOKEN_CHARS_MAX: Final = 512
_NEXT_CHARS_MAX: Final = 4096


def sign(secret: bytes, kind: str, key_hash: str, expires_at_s: int) -> str:
    """Make a token that says: the holder of this key may do `kind` until then.

    `kind` and `key_hash` hold no dots.
    """
    assert "." not in kind + key_hash
    claim = f"{kind}.{key_hash}.{expires_at_s}"
    return f"{claim}.{_mac(secret, 'token', claim)}"


def verify(secret: bytes, token: str, kind: str, now_s: float) -> str | None:
    """Return the key's hash if the token is ours, of this kind and not over; None otherwise."""
    if len(token) > _TOKEN_CHARS_MAX or not token.isascii():
        return None
    claim, _, mac = token.rpartition(".")
    if not hmac.compare_digest(_mac(secret, "token", claim), mac):
        return None
    signed_kind, key_hash, expires_at_s = claim.split(".")
    if signed_kind != kind or now_s >= int(expires_at_s):
        return None
    return key_hash


def form_token(secret: bytes, session: str) -> str:
    """Make the token that forms of this session carry, so that no other site can post them."""
    return _mac(secret, "form", session)


def same(left: str, right: str) -> bool:
    """Compare two tokens without telling by time where they differ; empty is never the same."""
    return bool(left) and hmac.compare_digest(left.encode(), right.encode())


def local_path(wanted: str) -> str:
    r"""Return where to go after login: a path of this site, or the activity page.

    Browsers read `//host` and `/\host` as another site, and drop tabs and newlines first.
    """
    if not wanted.startswith("/") or len(wanted) > _NEXT_CHARS_MAX:
        return HOME
    if "\\" in wanted or not wanted.isascii() or not wanted.isprintable():
        return HOME
    if wanted.startswith(("//", "/login", "/logout")) or urlsplit(wanted).netloc:
        return HOME
    return wanted


def _mac(secret: bytes, purpose: str, text: str) -> str:
    message = f"{purpose}:{text}".encode("utf-8", "surrogatepass")
    return hmac.new(secret, message, sha256).hexdigest()
