"""The bytes every request to one route begins with, made once."""

import re
from collections.abc import Mapping
from typing import Final

from regulars import __version__
from regulars.model.catalog import Provider
from regulars.upstream.origin import Origin

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PATH: Final = re.compile(r"/[\x21-\x7e]*")
_FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers the client itself must decide, since the connection depends on them."""


def request_head(provider: Provider, *, origin: Origin, path: str) -> bytes:
    """Build the head of a POST up to `content-length: `, whose value each request adds.

    The provider's own headers replace ours of the same name.

    Raises:
        ValueError: a path, header or key that would not stay where it belongs.
    """
    if not _PATH.fullmatch(path):
        raise ValueError(f"path {path!r} is not a URL path: start it with / and percent-encode it")
    lines = [f"POST {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in _headers(provider, origin).items()]
    lines.append("content-length: ")
    return "\r\n".join(lines).encode("latin-1")


def _headers(provider: Provider, origin: Origin) -> Mapping[str, str]:
    headers = {
        "host": origin.authority,
        "user-agent": f"regulars/{__version__}",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",
        "content-type": "application/json",
    }
    if provider.key is not None:
        # No !r here: the value is the secret.
        if not provider.key or not _VALUE.fullmatch(provider.key):
            raise ValueError(
                f"the key of provider {provider.slug!r} is empty or has control or non-latin-1 "
                "characters: set it anew, without line ends"
            )
        headers["authorization"] = f"Bearer {provider.key}"
    for name, value in provider.headers.items():
        headers[_checked_name(provider, name, value)] = value
    return headers


def _checked_name(provider: Provider, name: str, value: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            f"header name {name!r} of provider {provider.slug!r} is not valid: "
            "use letters, digits and dashes"
        )
    if name.lower() in _FRAMING:
        raise ValueError(
            f"header {name!r} of provider {provider.slug!r} is set by the client itself: remove it"
        )
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"the value of header {name!r} of provider {provider.slug!r} has control or "
            "non-latin-1 characters: remove them"
        )
    return name.lower()
