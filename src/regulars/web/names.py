"""Names that strangers chose, made fit to be shown and linked. Pure."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

NOBODY: Final = "no user named"
SHOWN_CHARS_MAX: Final = 80
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?"
)


def visible(name: str) -> str:
    r"""Spell out what cannot be seen, so that two ids that differ look different.

    Direction marks, zero-width and control characters become `\u202e`; blank ids get quotes.
    """
    text = "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char) in _HIDDEN else char for char in name
    )
    return text if text == text.strip() else f"“{text}”"


def shortened(name: str) -> str:
    """Make a name visible and cut it to a bound; the page's title attribute has all of it."""
    text = visible(name)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[: SHOWN_CHARS_MAX - 1]}…"


def user_path(user: str) -> str:
    """Return the path of a user's page; browsers resolve `.` and `..`, so these go as a query."""
    if user in {".", ".."}:
        return f"/users?id={user}"
    return f"/users/{quote(user, safe='')}"


def session_path(session: str, user: str | None, at_us: int | None = None) -> str:
    """Return the path of a session's page; who and when tell the page where to look for it."""
    asked = {"id": session}
    if user is not None:
        asked["user"] = user
    if at_us is not None:
        asked["at"] = str(at_us)
    if session not in {".", ".."}:
        del asked["id"]
    path = "/sessions" if "id" in asked else f"/sessions/{quote(session, safe='')}"
    return f"{path}?{urlencode(asked)}" if asked else path


def key_name(key_hash: str | None, names: Mapping[str, str]) -> str:
    """Return an API key's name, or the start of its hash when it is not known any more."""
    if key_hash is None:
        return "no key"
    return names.get(key_hash) or f"{key_hash[:10]}…"


def public_address(scheme: str, host: str | None, fallback: str) -> str:
    """Return the address the viewer used, if its Host header is one."""
    good = host if host is not None and _HOST.fullmatch(host) else fallback
    return f"{'https' if scheme == 'https' else 'http'}://{good}"
