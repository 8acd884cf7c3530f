"""A large request cut into writes, without a copy of it."""

from typing import Final

from regulars.wire.pieces import Body

WRITE_BYTES: Final = 262_144
"""How much of a large request is handed to the transport at a time. uvloop keeps what the socket
does not take without a copy; TLS and asyncio's own transports copy it, so much at the most."""

Batch = list[bytes | memoryview]


def batches(head: bytes, body: Body) -> list[Batch]:
    """Return what to write at a time, the first last, so that `pop` takes them in order."""
    done: list[Batch] = []
    batch: Batch = [head]
    room = WRITE_BYTES
    for piece in (body,) if isinstance(body, bytes) else body:
        view = memoryview(piece)
        while view.nbytes:
            if not room:
                done.append(batch)
                batch, room = [], WRITE_BYTES
            part = view[:room]
            view = view[room:]
            room -= part.nbytes
            batch.append(part)
    done.append(batch)
    done.reverse()
    return done
