"""Sticky keys: 64-bit digests of who is warm, salted with account and model.

Nothing readable is kept, and accounts never share a key. Source: routing.md, "Keys".
"""

from functools import lru_cache
from hashlib import blake2b
from typing import Final
from zlib import crc32

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


def prefix_key(account: str, model: str, shared: bytes) -> int:
    """Digest what a group of requests without an end user has in common."""
    return sticky_key(account, model, "prefix", b"%d:%d" % (len(shared), crc32(shared)))


def conversation_key(account: str, model: str, *, whose: str, shared: bytes, first: bytes) -> int:
    """Digest how a conversation opens: whose it is, what it shares with others, what is said first.

    Texts count by length and checksum: digesting 2 KB would take as many instructions as a
    whole decision. Who finds two texts of one checksum shares a conversation with himself.
    """
    name = whose.encode()
    parts = (len(name), name, len(shared), crc32(shared), len(first), crc32(first))
    return sticky_key(account, model, "opener", b"%d:%b%d:%d:%d:%d" % parts)
