"""The key that pseudonyms are made with: a file beside the store, never in it.

A copy of the store alone leads back to nobody; whoever backs up the store for restoring keeps
this file elsewhere. Losing it makes new users of all.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from regulars.stores.base import StoreError

KEY_BYTES: Final = 32
FILE_MODE: Final = 0o600


def identity_key(store: Path) -> bytes:
    """Return the key beside a store; made at the first call.

    Raises:
        StoreError: the file cannot be made or read, or is not a key.
    """
    path = store.with_name(f"{store.name}.identity-key")
    try:
        if not path.exists():
            _make(path)
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as exc:
        raise StoreError(
            f"the identity key {str(path)!r} cannot be used: put it back as it was"
        ) from exc
    if len(key) != KEY_BYTES:
        raise StoreError(f"the identity key {str(path)!r} is not {KEY_BYTES} bytes in hex")
    return key


def _make(path: Path) -> None:
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(file, "w", encoding="ascii") as opened:
            opened.write(secrets.token_hex(KEY_BYTES) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        # Whoever comes first decides: a link, unlike a rename, replaces nothing.
        os.link(partial, path)
    except FileExistsError:
        return
    finally:
        partial.unlink(missing_ok=True)
