"""Passes a stream on from its upstream to its client, in the upstream connection's callback."""

import time
from typing import Final

from regulars.exchange.exchange import Exchange
from regulars.gateway.client import Client
from regulars.ledger.contents import Transcript
from regulars.providers.openai.stream import StreamReader


class Passage:
    """One stream's way through. What it does runs once a chunk, without a task that wakes up."""

    __slots__ = ("_client", "_exchange", "_feed", "_flow", "_generation_id", "_reader", "_write")

    def __init__(
        self,
        reader: StreamReader,
        client: Client,
        exchange: Exchange,
        transcript: Transcript | None,
    ) -> None:
        self._reader: Final = reader
        self._client: Final = client
        self._exchange: Final = exchange
        self._generation_id: Final = exchange.accepted.id
        self._feed = reader.feed if transcript is None else transcript.listening(reader.feed)
        # Who listens has to hear every piece.
        direct = client.direct if transcript is None else None
        self._write, self._flow = direct or (None, None)

    def chunk(self, wire: bytes) -> bool:
        """Pass one chunk of HTTP on as one, if it differs from the one before in its text alone.

        Half of all the work a chunk takes is saved by it (see ARCHITECTURE.md).
        """
        flow, write = self._flow, self._write
        if flow is None or write is None or flow.write_paused:
            return False
        framed = self._reader.chunk(wire)
        if framed is None:
            return False
        write(framed)
        return True

    def piece(self, piece: bytes) -> bool:
        """Pass on what a piece of the body gives; False at its end, or when the client is slow."""
        reader, exchange = self._reader, self._exchange
        frames = self._feed(piece)
        if not frames:
            return not reader.halted
        if exchange.content_at_s is None:
            exchange.content(time.monotonic())
        return self._client.frames(self._generation_id, frames) and not reader.halted
