"""Taking a person's name out of the files beside the store: spool files and journals."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from regulars.ledger.journal import MARK
from regulars.ledger.spool import SUFFIX, UNREADABLE_SUFFIX
from regulars.stores.sqlite.erased import OVERWRITTEN
from regulars.stores.sqlite.raw import count_in

PASSES_MAX: Final = 5
"""A living process may note a request while its journal is gone over."""


class _Who(Struct):
    """What a line of a spool file or a journal says of a person."""

    account: str
    end_user: str | None = None
    session: str | None = None
    referer: str | None = None
    app: str | None = None
    user_agent: str | None = None

    def shown(self) -> tuple[tuple[str, str | None], ...]:
        """Return what may mention him."""
        return ("app", self.app), ("user_agent", self.user_agent)


_WHO: Final = msgspec.json.Decoder(_Who)
_LINE: Final = msgspec.json.Decoder(list[msgspec.Raw])


def scrub_files(prefix: Path, account: str, user: str) -> int:
    """Overwrite a user's name, and the sessions noted with it; in how many lines.

    Byte for byte and in place: the owner of a journal goes on appending to it, and a spool file
    may be read at the same time. The ledger knows what an overwritten name means.
    """
    lines = 0
    for _ in range(PASSES_MAX):
        changed = sum(_scrub(path, account, user) for path in _files(prefix))
        lines += changed
        if not changed:
            break
    return lines


def count_in_files(prefix: Path, texts: Sequence[bytes]) -> int:
    """Count how often any of the texts stands in the files."""
    return sum(count_in(path, texts) for path in _files(prefix))


def _files(prefix: Path) -> list[Path]:
    start = f"{prefix.name}."
    return sorted(
        path
        for path in prefix.parent.iterdir()
        if path.name.startswith(prefix.name + MARK)
        or (path.name.startswith(start) and path.name.endswith((SUFFIX, UNREADABLE_SUFFIX)))
    )


def _scrub(path: Path, account: str, user: str) -> int:
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0  # stored and removed meanwhile
    with os.fdopen(file, "r+b", buffering=0) as opened:
        at, changed = 0, 0
        for line in opened.readall().splitlines(keepends=True):
            clean = _clean(line, account, user)
            if clean != line:
                os.pwrite(file, clean, at)
                changed += 1
            at += len(line)
        if changed:
            os.fsync(file)
        return changed


def _clean(line: bytes, account: str, user: str) -> bytes:
    who = _who(line)
    if who is None:  # cut while it was written, or damaged
        quoted = msgspec.json.encode(user)
        return line.replace(quoted, _blank(quoted))
    if (who.account, who.end_user) != (account, user):
        return line
    clean = line
    for name, value in (
        ("end_user", user),
        ("session", who.session),
        ("referer", who.referer),
        *((name, value) for name, value in who.shown() if value is not None and user in value),
    ):
        if value is not None:
            key, quoted = f'"{name}":'.encode(), msgspec.json.encode(value)
            clean = clean.replace(key + quoted, key + _blank(quoted))
    return clean


def _who(line: bytes) -> "_Who | None":
    try:
        if line.startswith(b"["):
            return _WHO.decode(_LINE.decode(line)[0])
        return _WHO.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, IndexError):
        return None


def _blank(quoted: bytes) -> bytes:
    return b'"' + OVERWRITTEN.encode() * (len(quoted) - 2) + b'"'
