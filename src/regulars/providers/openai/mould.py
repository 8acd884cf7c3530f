"""What all plain chunks of one stream have in common, learned from one of them.

A stream's chunks differ in their text alone, so the next ones cost a comparison of what stands
before and after it. A quote or a line feed ends a JSON string or an event: text that holds one
is not only text.
"""

from typing import Final, NamedTuple

# One byte is looked for as its number, more with `find`: `in` with bytes first raises and drops
# a TypeError inside CPython, three times the cost.
_QUOTE: Final = ord('"')
_LF: Final = ord("\n")

SIZES_MAX: Final = 512
"""Lengths of chunks that are remembered, a few hundred bytes each, and no more."""


class _Sized(NamedTuple):
    """A chunk of HTTP of one length: its beginning, and that of what we make of it."""

    before: bytes
    new_before: bytes


class Mould:
    """Takes the text out of a chunk and puts it between our own words.

    `before` and `after` are what the upstream writes around the text of an event, `data: ` and
    the blank line included; `new_before` and `new_after` what the client gets in their place.
    """

    __slots__ = (
        "_after",
        "_after_bytes",
        "_before",
        "_new_after",
        "_new_before",
        "_sized",
        "_wire_after",
        "_wire_after_bytes",
        "_wire_new_after",
        "event_bytes",
    )

    def __init__(self, before: bytes, after: bytes, new_before: bytes, new_after: bytes) -> None:
        self._before = before
        self._after = after
        self._after_bytes = len(after)
        self._new_before = new_before
        self._new_after = new_after
        self._wire_after = after + b"\r\n"
        self._wire_after_bytes = len(after) + 2
        self._wire_new_after = new_after + b"\r\n"
        self._sized: dict[int, _Sized] = {}
        self.event_bytes = len(before) + len(after)
        """Length of an event without text."""

    def event(self, piece: bytes) -> bytes | None:
        """Cast one event anew; None for a piece that is anything else."""
        before, after = self._before, self._after
        if piece.startswith(before) and piece.endswith(after) and len(piece) >= self.event_bytes:
            text = piece[len(before) : len(piece) - len(after)]
            if _QUOTE not in text and _LF not in text:
                return self._new_before + text + self._new_after
        return None

    def chunk(self, wire: bytes) -> bytes | None:
        """Cast one event anew that is a chunk of HTTP by itself, its framing included.

        None for anything else: more or less than one whole chunk, or another event in it.
        """
        sized = self._sized.get(len(wire)) or self._measure(wire)
        if sized is not None:
            before, new_before = sized
            if wire.startswith(before) and wire.endswith(self._wire_after):
                text = wire[len(before) : -self._wire_after_bytes]
                if _QUOTE not in text and _LF not in text:
                    return new_before + text + self._wire_new_after
        return None

    def _measure(self, wire: bytes) -> _Sized | None:
        """Learn how a chunk as long as this one begins."""
        head = wire[: wire.find(b"\r\n", 0, 20)]
        size = len(wire) - len(head) - 4
        text_bytes = size - self.event_bytes
        # Only as the HTTP parser would read it; servers write A or a, some with zeros before.
        if (
            text_bytes < 0
            or len(self._sized) >= SIZES_MAX
            or head.lower().lstrip(b"0") != b"%x" % size
        ):
            return None
        new_size = len(self._new_before) + text_bytes + len(self._new_after)
        sized = _Sized(
            b"%b\r\n%b" % (head, self._before), b"%x\r\n%b" % (new_size, self._new_before)
        )
        self._sized[len(wire)] = sized
        return sized
