"""Prompts and completions on their way to the store, where an operator and a key have them kept.

The event loop listens and puts aside; the writer's thread takes what waits when no row does,
and makes text of it. What finds no room, or whose row is late, is dropped and counted: nobody
ever waits for it. Nothing here is made for a request that is not sampled.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Raw

from regulars.config.settings import ContentSettings
from regulars.model.generation import Generation
from regulars.stores.base import StoreError
from regulars.stores.contents import Content, Contents
from regulars.wire.said import Said, said_in_frames, said_whole

STORE_MAX: Final = 16
"""Contents of one transaction: rows go in between."""

RAW_PER_ITEM: Final = 32
"""Bytes of a stream that are kept for each byte of text: a chunk's own bytes are many."""

DAY_US: Final = 86_400_000_000

log = logging.getLogger("regulars.ledger")


class Transcript:
    """What is said in one generation, as bytes, within bounds."""

    __slots__ = ("_raw_max", "_size", "frames", "messages", "whole")

    def __init__(self, messages: Raw, item_bytes_max: int) -> None:
        # Copied, as far as it may count: it must not hold a body of many megabytes.
        self.messages = bytes(memoryview(messages)[: item_bytes_max + 1])
        self._raw_max = item_bytes_max * RAW_PER_ITEM
        self._size = 0
        self.frames: list[bytes] = []
        self.whole: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes held."""
        return len(self.messages) + self._size

    @property
    def is_cut(self) -> bool:
        """Whether more came than is held."""
        return self._size >= self._raw_max

    def begin(self) -> None:
        """Forget what an attempt said that failed: another begins."""
        self.frames.clear()
        self.whole, self._size = None, 0

    def hear(self, frames: bytes) -> None:
        """Take frames of a stream."""
        room = self._raw_max - self._size
        if frames and room > 0:
            self.frames.append(frames[:room])
            self._size += min(len(frames), room)

    def hear_whole(self, choices: Raw) -> None:
        """Take the choices of a whole answer."""
        self.whole = bytes(memoryview(choices)[: self._raw_max])
        self._size = len(self.whole)

    def listening(self, feed: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        """Make of a stream's reader one that is listened to."""

        def feed_and_hear(piece: bytes) -> bytes:
            frames = feed(piece)
            self.hear(frames)
            return frames

        return feed_and_hear


class _Waiting(NamedTuple):
    row: Generation
    transcript: Transcript


class ContentKeeper:
    """Takes what was said, gives it to the store. One per process.

    `listen` and `keep` belong to the event loop, all else to the writer's thread.
    """

    def __init__(
        self, store: Contents, settings: ContentSettings, chance: Callable[[], float]
    ) -> None:
        self._store = store
        self._settings = settings
        self._chance = chance
        self._queue: deque[_Waiting] = deque()
        self._put_bytes = self._taken_bytes = 0  # by the loop, by the thread: no lock
        self.kept = 0
        """Since the start."""
        self.dropped = 0
        """That found no room, or whose row was late."""
        self.lost = 0
        """That the store refused."""

    def listen(self, messages: Raw, share: float) -> Transcript | None:
        """Begin a transcript, for this share of requests and only where storage is on."""
        if not self._settings.enabled or self._chance() >= share:
            return None
        return Transcript(messages, self._settings.item_bytes_max)

    def keep(self, row: Generation, transcript: Transcript, *, durable: bool) -> bool:
        """Put a transcript aside for the thread; False where it is dropped."""
        held = self._put_bytes - self._taken_bytes + transcript.size
        if not durable or held > self._settings.waiting_bytes_max:
            self.dropped += 1
            return False
        self._put_bytes += transcript.size
        self._queue.append(_Waiting(row, transcript))
        return True

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    def store_some(self) -> None:
        """Store a few of those that wait; those the store refuses are dropped."""
        some = [self._queue.popleft() for _ in range(min(STORE_MAX, len(self._queue)))]
        try:
            self._store.keep_contents([self._content(one) for one in some])
        except StoreError as exc:
            self.lost += len(some)
            log.warning("contents_dropped count=%d reason=%r", len(some), str(exc))
        else:
            self.kept += len(some)
        self._taken_bytes += sum(one.transcript.size for one in some)

    def tidy(self) -> bool:
        """Delete a few that are too old; True where more are. Raises StoreError."""
        return self._store.drop_contents(time.time_ns() // 1000 - self._settings.keep_days * DAY_US)

    def _content(self, waiting: _Waiting) -> Content:
        row, transcript = waiting
        most = self._settings.item_bytes_max
        completion, reasoning, cut = _bounded(_said(transcript), most)
        return Content(
            id=row.id,
            created_at_us=row.created_at_us,
            account=row.account,
            end_user=row.end_user,
            input=transcript.messages[:most].decode(errors="ignore"),
            input_cut=len(transcript.messages) > most,
            completion=completion,
            reasoning=reasoning,
            output_cut=cut or transcript.is_cut,
        )


def _said(transcript: Transcript) -> Said:
    if transcript.whole is not None:
        return said_whole(transcript.whole)
    return said_in_frames(b"".join(transcript.frames))


def _bounded(said: Said, most: int) -> tuple[str | None, str | None, bool]:
    texts = [None if text is None else text.encode("utf-8", "replace") for text in said]
    cut = any(text is not None and len(text) > most for text in texts)
    short = [None if text is None else text[:most].decode(errors="ignore") for text in texts]
    return short[0], short[1], cut
