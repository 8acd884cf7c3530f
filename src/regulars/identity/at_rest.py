"""How ids are kept: as they are, as pseudonyms, or encrypted (`sealed`).

What upstreams see of a user is another matter.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

PSEUDONYM: Final = re.compile(r"person_[0-9a-f]{32}")
_LABEL: Final = b"regulars-at-rest-v1"

KeptName = Callable[[str, str], str]
"""From an account and a user to what the ledger calls him."""
ShownName = Callable[[str, str], str]
"""From an account and what the ledger calls a user to what people who may know are shown."""
EarlierNames = Callable[[str, str], tuple[str, ...]]
"""From an account and a user to what the ledger may have called him before."""


def as_it_is(_account: str, user: str) -> str:
    """Keep an id plain."""
    return user


def none_earlier(_account: str, _user: str) -> tuple[str, ...]:
    """Know no names under other keys."""
    return ()


@dataclass(frozen=True, slots=True)
class AtRest:
    """One way of keeping ids. `earlier`: an id's names under keys whose window is still open."""

    kept: KeptName = as_it_is
    shown: ShownName = as_it_is
    earlier: EarlierNames = none_earlier


PLAIN: Final = AtRest()


def pseudonym_of(key: bytes, account: str, user: str) -> str:
    """Return an id's pseudonym, the same for ever under one key, another in each account."""
    message = b"\0".join((_LABEL, account.encode(), user.encode("utf-8", "surrogatepass")))
    return f"person_{hmac.new(key, message, sha256).hexdigest()[:32]}"
