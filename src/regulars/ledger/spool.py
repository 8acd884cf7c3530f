"""Rows the store would not take in time: files of JSON lines beside it, the oldest first by name.

A file gets its final name only when it is complete and on disk, so one that can be seen can be
read, and several processes may stop and start at once. Reading one twice does no harm: the
ledger ignores ids it knows.
"""

import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import msgspec

from regulars.model.generation import Generation

SUFFIX: Final = ".jsonl"
UNREADABLE_SUFFIX: Final = ".unreadable"
FILE_MODE: Final = 0o600

_DECODER: Final = msgspec.json.Decoder(Generation)


@runtime_checkable
class HasSpoolPath(Protocol):
    """A store that says where its spool files stand; their names begin with this path."""

    @property
    def spool_path(self) -> Path:
        """The prefix of the files."""
        ...


def write_spool(prefix: Path, rows: Sequence[Generation]) -> tuple[Path, list[str]]:
    """Write the rows to a new file, durably; return it and the ids JSON cannot hold.

    Raises OSError.
    """
    lines: list[bytes] = []
    refused: list[str] = []
    for row in rows:
        try:
            lines.append(msgspec.json.encode(row) + b"\n")
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError):
            refused.append(row.id)
    name = f"{prefix.name}.{time.time_ns():020d}-{secrets.token_hex(4)}{SUFFIX}"
    final = prefix.with_name(name)
    partial = final.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(final)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(final.parent)
    return final, refused


def spool_files(prefix: Path) -> list[Path]:
    """Return the complete files in the order they were written; none where the folder is gone."""
    start = f"{prefix.name}."
    if not prefix.parent.is_dir():
        return []
    return sorted(
        path
        for path in prefix.parent.iterdir()
        if path.name.startswith(start) and path.name.endswith(SUFFIX)
    )


def read_spool(path: Path) -> tuple[list[Generation], int]:
    """Return a file's rows and how many of its lines could not be read. Raises OSError."""
    rows: list[Generation] = []
    unreadable = 0
    for line in path.read_bytes().splitlines():
        try:
            rows.append(_DECODER.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            unreadable += 1
    return rows, unreadable


def finish_spool(path: Path, *, unreadable: int) -> None:
    """Remove a file whose rows are stored; one with unreadable lines is kept under a new name."""
    if unreadable:
        path.rename(path.with_name(path.name + UNREADABLE_SUFFIX))
    else:
        path.unlink(missing_ok=True)  # another process may have drained it too


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
