"""Sticky keys: 64-bit digests of who is warm, salted with account and model.

Nothing readable is kept, and accounts never share a key. Source: routing.md, "Keys".
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from msgspec import Struct

DIGEST_BYTES: Final = 8
NAMED_MAX: Final = 20_000
"""Names whose keys are at hand: regulars return. About 6 MB when full."""
_SPAN: Final = float(2 ** (8 * DIGEST_BYTES))


class StickyKeys(Struct, frozen=True, gc=False):
    """A request's session key S and user key U."""

    session: int
    user: int


def sticky_key(account: str, model: str, kind: str, name: bytes) -> int:
    """Digest one name; `kind` keeps a session and a user of the same name apart."""
    salt = f"{account}\0{model}\0{kind}\0".encode()
    return int.from_bytes(blake2b(salt + name, digest_size=DIGEST_BYTES).digest(), "big")


@lru_cache(NAMED_MAX)
def named_key(account: str, model: str, kind: str, name: str) -> int:
    """Digest a name that comes again and again: the key that `sticky_key` gives."""
    return sticky_key(account, model, kind, name.encode())


def unit(key: int, endpoint_id: str) -> float:
    """Return a key's own number in (0, 1) for an endpoint, the same on every machine."""
    material = key.to_bytes(DIGEST_BYTES, "big") + endpoint_id.encode()
    return digest_unit(blake2b(material, digest_size=DIGEST_BYTES).digest())


def digest_unit(digest: bytes) -> float:
    """Read a digest as a number in (0, 1)."""
    return (int.from_bytes(digest, "big") + 0.5) / _SPAN


def conversation_key(
    account: str, model: str, *, kind: str, name: bytes, shared: bytes, first: bytes
) -> int:
    """Digest how a conversation opens: whose it is, what it shares with others, what is said first.

    Each part stands behind its length, so no two different openings give the same bytes.
    """
    parts = (len(kind), kind.encode(), len(name), name, len(shared), shared, len(first), first)
    return sticky_key(account, model, "opener", b"%d:%b%d:%b%d:%b%d:%b" % parts)
