"""Small files beside the store: only their owner reads them, nobody sees half of one."""

import os
import secrets
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600


def make_once(path: Path, text: str) -> None:
    """Write a file that is not there yet; whoever comes first decides. Raises OSError."""
    partial = _written(path, text)
    try:
        # A link, unlike a rename, replaces nothing.
        os.link(partial, path)
    except FileExistsError:
        return
    finally:
        partial.unlink(missing_ok=True)


def put(path: Path, text: str) -> None:
    """Write a file in the place of the one that is there. Raises OSError."""
    _written(path, text).replace(path)


def _written(path: Path, text: str) -> Path:
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    return partial
