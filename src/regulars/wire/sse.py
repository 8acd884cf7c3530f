"""Server-sent events: cut a stream of bytes into whole events, wherever the bytes were cut.

Only what chat streams use: `data:` lines and comments. An event is handed on as its data.
"""

from typing import Final

from regulars.wire.mend import BOM

KEEPALIVE: Final = b": OPENROUTER PROCESSING\n\n"
DONE: Final = b"data: [DONE]\n\n"
CR: Final = ord("\r")
_LF: Final = ord("\n")
EVENT_BYTES_MAX: Final = 16_777_216
"""One event may carry an image; nothing honest is larger."""

LARGE_BYTES: Final = 65_536
"""The beginning of an event over this is added to in place: joined anew for every piece, 16 MB in
pieces of 64 KB were copied 128 times."""


class EventTooLargeError(ValueError):
    """An event went over EVENT_BYTES_MAX without ending."""


class EventCutter:
    """Feed pieces, get the data of each event that is whole now.

    LF, CRLF and a lone CR within an event's lines are understood; comments and fields other
    than `data` are dropped; several `data` lines of one event are joined by LF.
    """

    __slots__ = ("rest",)

    def __init__(self) -> None:
        self.rest: bytes | bytearray = b""
        """The beginning of an event that waits for its end."""

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of every event that this piece completes, in order."""
        # The common case first: nothing left over, the piece ends where its last event ends.
        if self.rest:
            if len(self.rest) > LARGE_BYTES and _LF not in piece and CR not in piece:
                self._add(piece)
                return []
            piece = b"".join((self.rest, piece))
        if CR in piece:
            return self._feed_crlf(piece)
        blocks = piece.split(b"\n\n")
        self._keep(blocks.pop())
        return [data for block in blocks if (data := _data(block)) is not None]

    def end(self) -> list[bytes]:
        """Return the data of a last event that no blank line followed."""
        rest, self.rest = self.rest, b""
        data = _data(bytes(rest).replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        return [] if data is None else [data]

    def _feed_crlf(self, piece: bytes) -> list[bytes]:
        # A CR at the end may be half of a CRLF: it waits for the next piece.
        held = b"\r" if piece.endswith(b"\r") else b""
        body = piece[: len(piece) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        blocks = body.split(b"\n\n")
        self._keep(blocks.pop() + held)
        return [data for block in blocks if (data := _data(block)) is not None]

    def _keep(self, rest: bytes | bytearray) -> None:
        if len(rest) > EVENT_BYTES_MAX:
            raise EventTooLargeError(f"an event of over {EVENT_BYTES_MAX} bytes")
        self.rest = rest

    def _add(self, piece: bytes) -> None:
        """Keep a piece in which no line ends, and so no event either."""
        rest = self.rest if isinstance(self.rest, bytearray) else bytearray(self.rest)
        rest += piece
        self._keep(rest)


def _data(block: bytes) -> bytes | None:
    if block.startswith(b"data: ") and _LF not in block:
        return block[6:]
    lines = [
        line[6:] if line.startswith(b"data: ") else line[5:]
        for line in block.removeprefix(BOM).split(b"\n")
        if line.startswith(b"data:")
    ]
    return b"\n".join(lines) if lines else None
