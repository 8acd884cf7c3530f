"""JSON that is not quite JSON: read leniently and written anew. Pure.

Only for what a strict reader has refused: NaN, broken UTF-8, half a pair of surrogates, bare
control characters, a byte order mark. Clients' own parsers refuse most of them too.
"""

import json
from typing import Final

MENDED_BYTES_MAX: Final = 262_144
"""More is not read leniently: that holds the event loop for some 10 ns a byte."""

BOM: Final = b"\xef\xbb\xbf"
"""Servers on Windows begin with it what they send."""

NO_CODING: Final = frozenset({b"", b"identity", b"none", b"utf-8", b"utf8"})
"""Content encodings that leave a body as it is: `none` keeps proxies before a server from compressing
its streams, and charsets stand there by mistake."""


def mended(data: bytes) -> bytes | None:
    """Return what a lenient reader makes of it as JSON in UTF-8; None where that is nothing."""
    if len(data) > MENDED_BYTES_MAX:
        return None
    text = data.decode("utf-8-sig", "replace")
    try:
        value = json.loads(text, strict=False, parse_constant=_no_number)
        written = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None
    # By way of UTF-16 the halves of a pair that stand together are joined.
    return written.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _no_number(_name: str) -> None:
    """Read NaN and Infinity as null."""
