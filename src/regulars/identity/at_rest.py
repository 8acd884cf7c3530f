"""How ids are kept: as they are, or as pseudonyms that only the identity key leads back to.

What upstreams see of a user is another matter.
"""

import hmac
import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final

PSEUDONYM: Final = re.compile(r"person_[0-9a-f]{32}")
_LABEL: Final = b"regulars-at-rest-v1"

KeptName = Callable[[str, str], str]
"""From an account and a user to what the ledger calls him."""


def as_it_is(_account: str, user: str) -> str:
    """Keep an id plain."""
    return user


def pseudonym_of(key: bytes, account: str, user: str) -> str:
    """Return an id's pseudonym, the same for ever under one key, another in each account."""
    message = b"\0".join((_LABEL, account.encode(), user.encode("utf-8", "surrogatepass")))
    return f"person_{hmac.new(key, message, sha256).hexdigest()[:32]}"
