"""Bodies that come compressed though nobody asked: undone piece by piece, each piece bounded."""

import zlib
from typing import Final, Protocol

from regulars.model.errors import UpstreamProtocolError

_GZIP_WINDOW: Final = 31
_ZLIB_WINDOW: Final = 15
_RAW_WINDOW: Final = -15


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = 0, /) -> bytes: ...


class Decoder:
    """Undo gzip or deflate; `take` hands out at most `piece_bytes` at a time.

    Raises:
        UpstreamProtocolError: an encoding we do not know, or bytes that are not in it.
    """

    __slots__ = ("_encoding", "_full", "_inflater", "_peer", "_piece_bytes", "_waiting")

    def __init__(self, encoding: bytes, *, peer: str, piece_bytes: int) -> None:
        self._encoding = encoding.strip().lower()
        self._peer = peer
        self._piece_bytes = piece_bytes
        self._waiting = b""
        self._full = False
        self._inflater: _Inflater | None = None
        if self._encoding not in {b"gzip", b"x-gzip", b"deflate"}:
            raise UpstreamProtocolError(
                f"{peer} answered with content-encoding {encoding[:40]!r}, though identity was "
                "asked for; gzip and deflate can be read"
            )

    def feed(self, piece: bytes) -> None:
        """Add bytes from the wire."""
        self._waiting += piece

    def take(self) -> bytes:
        """Return the next decoded bytes, b"" when more must be fed first."""
        # A full piece may leave more inside the inflater though its input is used up.
        while self._waiting or self._full:
            inflater = self._inflater or self._begin()
            if inflater is None:
                return b""
            try:
                decoded = inflater.decompress(self._waiting, self._piece_bytes)
            except zlib.error as exc:
                raise self._broken(str(exc)) from exc
            self._waiting = inflater.unconsumed_tail or inflater.unused_data
            self._full = len(decoded) == self._piece_bytes and not inflater.eof
            if inflater.eof:
                # gzip may go on with a further member.
                self._inflater = None
            if decoded:
                return decoded
        return b""

    def finish(self) -> None:
        """Say that no more bytes come."""
        if self._inflater is not None or self._waiting:
            raise self._broken("it ends too soon")

    def _begin(self) -> _Inflater | None:
        if self._encoding != b"deflate":
            self._inflater = zlib.decompressobj(_GZIP_WINDOW)
        elif len(self._waiting) > 1:
            # RFC 9110 means zlib's format by "deflate"; some send the bare stream.
            marked = self._waiting[0] & 15 == zlib.DEFLATED
            checked = int.from_bytes(self._waiting[:2]) % 31 == 0
            self._inflater = zlib.decompressobj(_ZLIB_WINDOW if marked and checked else _RAW_WINDOW)
        return self._inflater

    def _broken(self, why: str) -> UpstreamProtocolError:
        return UpstreamProtocolError(
            f"{self._peer} sent a body that is not valid {self._encoding.decode('latin-1')}: {why}"
        )
