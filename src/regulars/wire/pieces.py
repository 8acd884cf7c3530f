"""A large JSON object as pieces to write one after another: its large values are not copied."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

Body = bytes | tuple[bytes | memoryview, ...]
"""What is sent: whole, or in pieces that follow each other."""

VALUE_BYTES: Final = 65_536
"""A value over this stays where it lies."""


def object_pieces(fields: Mapping[str, Raw]) -> tuple[bytes | memoryview, ...]:
    """Return the bytes of `msgspec.json.encode(fields)`, in pieces."""
    pieces: list[bytes | memoryview] = []
    run: list[bytes] = []
    mark = b"{"
    for name, raw in fields.items():
        run += (mark, msgspec.json.encode(name), b":")
        mark = b","
        value = memoryview(raw)
        if value.nbytes > VALUE_BYTES:
            pieces += (b"".join(run), value)
            run = []
        else:
            run.append(bytes(value))
    run.append(b"}" if fields else b"{}")
    pieces.append(b"".join(run))
    return tuple(pieces)


def body_bytes(body: Body) -> int:
    """Return how long a body is."""
    return len(body) if isinstance(body, bytes) else sum(memoryview(one).nbytes for one in body)
