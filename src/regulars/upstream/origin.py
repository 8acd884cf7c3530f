"""Where a provider listens: its base URL taken apart and checked."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\uffff]")
_EXAMPLE: Final = "write it like 'https://api.example.com/v1'"


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what one pool of connections is for."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """What the `host` header says: no port where the scheme implies it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_base_url(base_url: str) -> tuple[Origin, str]:
    """Take a base URL apart into its origin and its path prefix, without a slash at the end.

    Raises:
        ValueError: it cannot be used; the message never shows a password or a query.
    """
    # urlsplit silently drops tabs and line ends, so they are looked for first.
    if _UNSAFE.search(base_url):
        raise ValueError(
            f"base_url {base_url!r} contains spaces, control or non-ASCII characters: "
            "percent-encode the path and write the host in its xn-- form"
        )
    parts = urlsplit(base_url)
    if parts.scheme not in _PORTS:
        raise ValueError(f"base_url {_shown(parts)!r} is neither http nor https: {_EXAMPLE}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            f"base_url {_shown(parts)!r} carries a user or password: name the secret with key_env"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"base_url {_shown(parts)!r} carries a query or fragment: remove it")
    if not parts.hostname:
        raise ValueError(f"base_url {_shown(parts)!r} names no host: {_EXAMPLE}")
    return Origin(parts.scheme, parts.hostname, _port(parts)), parts.path.rstrip("/")


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError as exc:
        raise ValueError(f"base_url {_shown(parts)!r} has a bad port: {exc}; {_EXAMPLE}") from exc
    if port == 0:
        raise ValueError(f"base_url {_shown(parts)!r} has port 0: write the real one")
    return port or _PORTS[parts.scheme]


def _shown(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
