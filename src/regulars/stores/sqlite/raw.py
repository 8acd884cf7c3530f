"""Reading the bytes of files, also of those that SQLite has open in this process.

Closing any handle of a file drops every lock that the process holds on it, also those that SQLite
took by other handles (POSIX). Another process would then take a store for one that nobody uses, and
delete its log under the gateway that writes to it. So such a file's handle is kept open.
"""

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

READ_BYTES: Final = 1_048_576


class RawFiles:
    """Files that are read beside SQLite; one handle of each, until `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: dict[tuple[int, int], int] = {}

    def count_in(self, file: Path, texts: Sequence[bytes]) -> int:
        """Count how often any of the texts stands in a file; none where there is no file."""
        try:
            handle = self._handle(file)
        except FileNotFoundError:
            return 0
        return _count(_pieces(handle), texts)

    def close(self) -> None:
        """Let go of the files; no connection may be using them."""
        with self._lock:
            while self._handles:
                os.close(self._handles.popitem()[1])

    def _handle(self, file: Path) -> int:
        with self._lock:
            found = file.stat()
            known = self._handles.get((found.st_dev, found.st_ino))
            if known is not None:
                return known
            opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
            found = os.fstat(opened)
            self._handles[found.st_dev, found.st_ino] = opened
            return opened


def count_in(file: Path, texts: Sequence[bytes]) -> int:
    """Count likewise in a file that SQLite has not open in this process."""
    try:
        with file.open("rb") as opened:
            return _count(_pieces(opened.fileno()), texts)
    except FileNotFoundError:
        return 0


def _pieces(handle: int) -> Iterator[bytes]:
    at = 0
    while piece := os.pread(handle, READ_BYTES, at):
        yield piece
        at += len(piece)


def _count(pieces: Iterable[bytes], texts: Sequence[bytes]) -> int:
    found, kept = 0, b""
    overlap = max(map(len, texts)) - 1
    for piece in pieces:
        window = kept + piece
        # What ends inside the kept part was counted with the piece before.
        found += sum(_count_beyond(window, text, len(kept)) for text in texts)
        kept = window[-overlap:] if overlap else b""
    return found


def _count_beyond(window: bytes, text: bytes, seen: int) -> int:
    return window.count(text, max(0, seen - len(text) + 1))
