"""What the head of an inference request says, read once for all requests that have the same."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from regulars.http.asgi import Scope
from regulars.http.auth import header_digest
from regulars.http.peer import Peers
from regulars.identity.end_user import refuse_repeated
from regulars.model.errors import MethodNotAllowedError

HEAD: Final = "regulars.head"
"""Where a request's scope holds it."""

LABEL_CHARS_MAX: Final = 256

_METADATA_HEADERS: Final = (b"x-openrouter-metadata", b"x-openrouter-experimental-metadata")


class Head(Struct, frozen=True, gc=False):
    """One head. `digest` stands for its authorization, `address` is the client's."""

    headers: Mapping[bytes, bytes]
    digest: bytes
    address: str | None
    app: str | None
    referer: str | None
    user_agent: str | None
    wants_metadata: bool
    """Whether the answer shall tell how it was routed (openrouter-api.md section 1.3)."""


def read_head(scope: Scope, peers: Peers) -> Head:
    """Read a head.

    Raises:
        MethodNotAllowedError: it is no POST.
        CallerError: it says twice who the request is for.
    """
    if scope["method"] != "POST":
        raise MethodNotAllowedError(f"method {scope['method']}: use POST here")
    headers = dict(scope["headers"])
    if len(headers) != len(scope["headers"]):
        refuse_repeated(scope["headers"])
    return Head(
        headers=headers,
        digest=header_digest(headers.get(b"authorization", b"")),
        address=peers.address(scope["client"], headers),
        app=_label(headers.get(b"x-openrouter-title") or headers.get(b"x-title")),
        referer=_label(headers.get(b"http-referer")),
        user_agent=_label(headers.get(b"user-agent")),
        wants_metadata=_wants_metadata(headers),
    )


def _wants_metadata(headers: Mapping[bytes, bytes]) -> bool:
    for name in _METADATA_HEADERS:
        value = headers.get(name)
        if value is not None:
            return value.strip().lower() == b"enabled"
    return False


def _label(value: bytes | None) -> str | None:
    """Return a header's text, bounded and printable, None when there is nothing to show."""
    if not value:
        return None
    text = value[:LABEL_CHARS_MAX].decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text
