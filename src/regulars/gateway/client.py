"""The client's side as the relay sees it. `http/reply.py` plays it over ASGI."""

from collections.abc import Callable
from typing import Protocol


class ClientGoneError(Exception):
    """The client left; nobody waits for the rest."""


class Flow(Protocol):
    """How fast a client reads."""

    write_paused: bool
    """Whether he is to be waited for before more is written."""


class Client(Protocol):
    """One waiting client. Who writes looks at `is_full`, so that memory stays bounded."""

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        ...

    def on_gone(self, call: Callable[[], None]) -> None:
        """Have `call` called once when the connection ends; a later call replaces it."""
        ...

    def whole(self, generation_id: str, body: bytes) -> None:
        """Answer 200 with one JSON body."""
        ...

    def frames(self, generation_id: str, frames: bytes) -> bool:
        """Send frames of a stream; the first ones bring the status line with them.

        False when he reads more slowly than we write.
        """
        ...

    @property
    def direct(self) -> tuple[Callable[[bytes], None], Flow] | None:
        """Where chunks of HTTP go, framing included, once a first frame has been sent.

        Whoever writes looks at the flow before. None where the answer is not made of chunks.
        """
        ...

    @property
    def is_full(self) -> bool:
        """Whether he reads more slowly than we write: `drain` before more is sent."""
        ...

    async def drain(self) -> None:
        """Wait until he has read, or left."""
        ...

    def end(self, frames: bytes) -> None:
        """Send the stream's last frames."""
        ...

    @property
    def started(self) -> bool:
        """Whether the status line has gone out: errors are frames from then on."""
        ...
