"""Which backups were made of a store, in a file beside it: an erasure tells which still hold an id.

The list names files and times, no people.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from regulars.stores.base import StoreError
from regulars.stores.key_file import put

LISTED_MAX: Final = 1000
"""The oldest go first."""


class Backup(Struct, frozen=True):
    """One copy of the store; `made_at` is UTC."""

    file: str
    made_at: str
    bytes: int


_LIST: Final = msgspec.json.Decoder(list[Backup])


def note_backup(store: Path, file: Path, *, size: int, now_s: float) -> None:
    """Add a backup to the list. Raises StoreError."""
    made_at = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds")
    made = Backup(str(file.absolute()), made_at, size)
    kept = [one for one in _read(store) if one.file != made.file]
    listed = [*kept, made][-LISTED_MAX:]
    path = _path(store)
    try:
        put(path, msgspec.json.format(msgspec.json.encode(listed), indent=1).decode())
    except OSError as exc:
        raise StoreError(f"the list of backups {str(path)!r} cannot be written: {exc}") from exc


def known_backups(store: Path) -> list[Backup]:
    """Return those that are still where they were made. Raises StoreError."""
    return [one for one in _read(store) if Path(one.file).exists()]


def _path(store: Path) -> Path:
    return store.with_name(f"{store.name}.backups")


def _read(store: Path) -> list[Backup]:
    path = _path(store)
    try:
        return _LIST.decode(path.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise StoreError(f"the list of backups {str(path)!r} cannot be read: move it away") from exc
