"""Who takes a body while it comes."""

from typing import Protocol


class Sink(Protocol):
    """Who takes a body's pieces in the connection's own callback, without waking anybody."""

    def chunk(self, wire: bytes) -> bool:
        """Take one whole chunk of HTTP as it came, if it is one of those that need no reading.

        False: nothing was taken, and it comes again without its framing.
        """
        ...

    def piece(self, piece: bytes) -> bool:
        """Take some bytes of the body; False when the reader has to be woken."""
        ...
