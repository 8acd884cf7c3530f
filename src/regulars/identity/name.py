"""Names that callers give their end users and sessions: what is accepted, and in which form."""

import re
from typing import Final
from unicodedata import normalize

from regulars.model.errors import CallerError

USER_LENGTH_MAX: Final = 512
SESSION_LENGTH_MAX: Final = 256

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def accept_name(name: str, *, field: str, length_max: int) -> str:
    """Return the name in NFC, otherwise exactly as given.

    Raises:
        CallerError: empty, too long (in characters), or with control characters or
            surrogates. The message names the field and what is wrong, never the name.
    """
    if not name.isascii():
        name = normalize("NFC", name)
    if not name:
        raise CallerError(f"{field}: is empty; leave it out or send 1 to {length_max} characters")
    if len(name) > length_max:
        raise CallerError(
            f"{field}: has {len(name)} characters; send at most {length_max}, "
            "for example a hash of your own id"
        )
    # A printable name (the common case) needs no search; a plain space is not "printable" alone.
    if not name.isprintable() and (bad := _CONTROL.search(name)):
        raise CallerError(
            f"{field}: character {bad.start() + 1} is U+{ord(bad[0]):04X}; "
            "control characters and lone surrogates are not allowed"
        )
    return name
