"""How many addresses use one id, counted without keeping any address.

A day's addresses fall into buckets by a keyed digest whose salt is thrown away with the day. From
how many of the buckets are taken follows how many addresses there were (linear counting): a
bucket stands for millions of addresses, so none can be read back, salt or not.
"""

from hashlib import blake2b
from math import log
from typing import Final

BUCKETS: Final = 1024
"""Good to 5 % for 500 addresses, and to some 4000 at all."""


def bucket_of(salt: bytes, address: str) -> int:
    """Return an address's bucket as a number with one bit set."""
    digest = blake2b(address.encode("utf-8", "replace"), key=salt, digest_size=8).digest()
    return 1 << (int.from_bytes(digest, "big") % BUCKETS)


def addresses_in(buckets: int) -> int:
    """Return about how many addresses took these buckets."""
    free = BUCKETS - buckets.bit_count()
    return round(BUCKETS * log(BUCKETS / max(free, 1)))
