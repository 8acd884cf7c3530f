"""What providers know an end user by: a keyed digest that only this gateway can make.

The same user of the same account has the same pseudonym for ever and everywhere; without the
key nobody can tell whose it is, nor try names until one fits.
"""

import hmac
from base64 import b32encode
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from regulars.identity.at_rest import KeptName, as_it_is

DIGEST_BYTES: Final = 15
"""120 bits: 24 letters and digits, as much as any provider's field takes."""
USERS_MAX: Final = 20_000
"""Pseudonyms kept ready; making one anew takes about 5 us."""

PseudonymOf = Callable[[str, str], str]
"""(account, name) → pseudonym."""


def pseudonym(key: bytes, account: str, name: str) -> str:
    """Digest a name of an account: 24 small letters and digits."""
    # NUL is allowed in neither, so no two pairs give the same bytes.
    message = f"{account}\0{name}".encode("utf-8", "surrogatepass")
    digest = hmac.digest(key, message, "sha256")[:DIGEST_BYTES]
    return b32encode(digest).decode().lower()


def pseudonyms(key: bytes, person: KeptName = as_it_is) -> PseudonymOf:
    """Return `pseudonym` with this key, keeping the ones used last ready.

    `person` tells whose a name is: all ids of one person are one person to providers too.
    """
    made = lru_cache(maxsize=USERS_MAX)(partial(pseudonym, key))
    return lambda account, name: made(account, person(account, name))
