"""Whether a new id goes on with a conversation that another new id began: then ids change.

Only asked at an id's first request. Digests of conversations are kept, of what was said nothing.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Raw, Struct

CONVERSATIONS_MAX: Final = 20_000
LOOKED_AT_BYTES_MAX: Final = 262_144
"""Larger conversations are not looked at: it would take more than a millisecond."""
DIGEST_BYTES: Final = 16


class _Role(Struct):
    role: str = ""


_MESSAGES: Final = msgspec.json.Decoder(list[Raw])
_ROLE: Final = msgspec.json.Decoder(_Role)


class Conversations:
    """The conversations that new ids came with, newest last."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, None] = OrderedDict()

    def continues(self, account: str, messages: bytes) -> bool:
        """Remember a new id's conversation; say whether its begin was another new id's.

        Its begin is all before one of the assistant's turns. Examples inside a prompt are no
        such begin: nobody asked what stands before them alone.
        """
        if len(messages) > LOOKED_AT_BYTES_MAX:
            return False
        try:
            turns = [(_ROLE.decode(turn).role, bytes(turn)) for turn in _MESSAGES.decode(messages)]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        digest = blake2b(account.encode(), digest_size=DIGEST_BYTES)
        begun = False
        for role, turn in turns:
            if role == "assistant":
                begun = begun or digest.digest() in self._known
            digest.update(b"%d:%b" % (len(turn), turn))
        self._known[digest.digest()] = None
        if len(self._known) > CONVERSATIONS_MAX:
            self._known.popitem(last=False)
        return begun
