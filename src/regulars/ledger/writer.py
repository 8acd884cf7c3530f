"""From the event loop to the store: rows queue up, one thread commits them in groups.

While a commit waits for the disk the next rows gather, so batches grow with the load by
themselves. The loop's thread submits and is told; the writer's thread takes, commits and
retries; between them stand a deque and an event, both safe without a lock of ours.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from regulars.config.settings import LedgerSettings
from regulars.exchange.exchange import Accepted
from regulars.ledger.checkpointer import Checkpointer
from regulars.ledger.commit import CORRECTIONS, Committer
from regulars.ledger.contents import ContentKeeper, Transcript
from regulars.ledger.entry import Entry
from regulars.ledger.journal import Started
from regulars.ledger.spool import HasSpoolPath
from regulars.model.catalog import Endpoint
from regulars.model.generation import Generation
from regulars.stores.base import Checkpointing, Ledger, StoreError

RESERVE_ROWS: Final = 10_000
"""Room beyond `queue_rows_max` for requests accepted just before the queue was full."""

NOTE_EVERY_S: Final = 0.005
"""A request that a killed process had for longer than this is known afterwards."""

STOP_WAIT_S: Final = 15.0
"""How long stop waits for the thread: a locked store gives up after its own, shorter, time."""

logger = logging.getLogger("regulars.ledger")


class LedgerFullError(StoreError):
    """So many rows wait for the store that no more fit; ask `has_room` before accepting work."""


class LedgerWriter:
    """Takes finished generations and makes them durable, in order, whatever the store does.

    All methods belong to the event loop's thread. `spool` is the prefix of the files that take
    what is unwritten at stop; by default the store names it, and without one such rows are lost
    (and logged).
    """

    def __init__(
        self,
        ledger: Ledger,
        settings: LedgerSettings,
        *,
        spool: Path | None = None,
        contents: ContentKeeper | None = None,
    ) -> None:
        if spool is None and isinstance(ledger, HasSpoolPath):
            spool = ledger.spool_path
        self._settings = settings
        self._contents = contents
        self._queue: deque[Entry] = deque()
        self._waiting = 0
        self._late = 0
        self._drained: asyncio.Future[None] | None = None
        self._deadlines: deque[Entry] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake_due = False
        self._starting: deque[Started] = deque()
        self._open: dict[str, Started] = {}
        self._note_due = False
        self._noting: asyncio.Future[None] | None = None
        """By another thread than ours, which was not free."""
        self._committer = Committer(
            ledger,
            settings,
            self._queue,
            tell=self._tell,
            spool=spool,
            starting=self._starting,
            open_=self._open,
            contents=contents,
        )
        self._checkpointer: Checkpointer | None = None
        if isinstance(ledger, Checkpointing):
            self._checkpointer = Checkpointer(ledger)

    @property
    def waiting(self) -> int:
        """Rows submitted and not yet known to be durable."""
        return self._waiting

    @property
    def late(self) -> int:
        """Rows that were not durable when their answer's time was up, since the start."""
        return self._late

    @property
    def spooled(self) -> int:
        """Rows in spool files of this process that wait for the store."""
        return self._committer.spooled

    @property
    def unwritable(self) -> int:
        """Rows that can never be kept, since the start; the log has their ids."""
        return self._committer.unwritable

    @property
    def commits(self) -> int:
        """Transactions that made rows durable, since the start."""
        return self._committer.commits

    @property
    def committed(self) -> int:
        """Rows they held."""
        return self._committer.committed

    @property
    def is_store_away(self) -> bool:
        """Whether the store refused the last batch."""
        return self._committer.is_failing

    def start(self) -> None:
        """Start the thread; rows spooled by an earlier process go in first."""
        self._loop = asyncio.get_running_loop()
        self._committer.start()
        if self._checkpointer is not None:
            self._checkpointer.start()

    def has_room(self) -> bool:
        """Say whether a new request may be accepted."""
        return self._waiting < self._settings.queue_rows_max

    def started(self, accepted: Accepted, endpoint: Endpoint) -> None:
        """Note that a request goes to an upstream: should this process die, it is `interrupted`.

        Again for a request's next endpoint. Its row, once durable, ends it. Written within
        NOTE_EVERY_S, by the thread; never waits.
        """
        started = (accepted, endpoint)
        self._open[accepted.id] = started
        self._starting.append(started)
        if not self._note_due:
            self._note_due = True
            self._running().call_later(NOTE_EVERY_S, self._note, None)

    def submit(self, row: Generation) -> asyncio.Future[bool]:
        """Queue a row; the future gives True when it is durable, False if it can never be.

        Raises:
            LedgerFullError: the queue is full beyond its reserve.
        """
        future: asyncio.Future[bool] = self._running().create_future()
        self._put(row, future)
        return future

    def correct(self, row: Generation) -> None:
        """Queue what is to be said in place of a row that is queued or kept; never waits.

        Of outcome, status and error only, and only with an error of CORRECTIONS: that is how a
        row in a spool file is known as one.
        """
        assert row.error in CORRECTIONS, "a row that is to be corrected says so"
        try:
            self.submit(row)
        except LedgerFullError:
            logger.exception("ledger_correction_dropped id=%s", row.id)

    def settle(self, row: Generation) -> asyncio.Future[bool]:
        """Queue a row; the future gives True once it is durable, False after `commit_wait_s`.

        A row that is late stays queued. One timer serves all who wait.

        Raises:
            LedgerFullError: the queue is full beyond its reserve.
        """
        loop = self._running()
        future: asyncio.Future[bool] = loop.create_future()
        self._deadlines.append(self._put(row, future))
        if self._timer is None:
            self._timer = loop.call_later(self._settings.commit_wait_s, self._expire)
        return future

    def keep_content(self, row: Generation, transcript: Transcript, *, durable: bool) -> None:
        """Have what was said in a generation kept, or dropped; never waits."""
        assert self._contents is not None, "nobody listens where nothing is kept"
        if self._contents.keep(row, transcript, durable=durable):
            self._committer.wake()

    async def drain(self, timeout_s: float) -> int:
        """Wait until nothing waits, or for the time given; return how many rows are left."""
        if self._waiting:
            self._drained = self._drained or self._running().create_future()
            await asyncio.wait([self._drained], timeout=timeout_s)
        return self._waiting

    def stop(self) -> None:
        """End the thread after one last try; what the store refuses goes to a spool file."""
        self._committer.wake()
        self._committer.stop(STOP_WAIT_S)
        if self._checkpointer is not None:
            self._checkpointer.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _running(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None, "start() comes first"
        return self._loop

    def _put(self, row: Generation, future: asyncio.Future[bool]) -> Entry:
        if self._waiting >= self._settings.queue_rows_max + RESERVE_ROWS:
            raise LedgerFullError(
                f"{self._waiting} rows wait for the store; row {row.id!r} does not fit: "
                "see ledger_rows_waiting in the log"
            )
        self._waiting += 1
        entry = Entry(row, future, time.monotonic())
        self._queue.append(entry)
        if not self._wake_due:
            # After what else is ready now: the thread is woken once for all of it.
            self._wake_due = True
            self._running().call_soon(self._wake)
        return entry

    def _wake(self) -> None:
        self._wake_due = False
        self._committer.wake()

    def _note(self, asked: Started | None) -> None:
        """Have the thread note who started; where it has not by the next time, another does.

        Ours may wait for the store's lock or a slow disk, for seconds. `asked` was the first
        in the row when the thread was last woken.
        """
        try:
            first = self._starting[0]
        except IndexError:  # the thread has noted all
            self._note_due = False
            return
        loop = self._running()
        if first is not asked:
            self._committer.wake()
        elif self._noting is None or self._noting.done():
            self._noting = loop.run_in_executor(None, self._committer.note_started)
        loop.call_later(NOTE_EVERY_S, self._note, first)

    def _tell(self, entries: Sequence[Entry], error: Exception | None) -> None:
        """Called by the thread: pass the news to the loop in one call for all rows."""
        loop = self._running()
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._resolve, entries, error)
            except RuntimeError:
                # Closed since we looked: nobody is left to be told.
                logger.debug("ledger_loop_closed rows=%d", len(entries))

    def _resolve(self, entries: Sequence[Entry], error: Exception | None) -> None:
        open_ = self._open
        for row, future, _ in entries:
            if future is None:
                continue
            self._waiting -= 1
            open_.pop(row.id, None)
            if future.done():
                continue
            future.set_result(error is None)  # the thread has logged an error by the row's id
        deadlines = self._deadlines
        while deadlines and _is_answered(deadlines[0]):
            deadlines.popleft()
        if not self._waiting and self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def _expire(self) -> None:
        """Answer those whose time is up, and set the timer for the next."""
        deadlines, wait_s = self._deadlines, self._settings.commit_wait_s
        now = time.monotonic()
        while deadlines and (_is_answered(deadlines[0]) or deadlines[0].since_s + wait_s <= now):
            future = deadlines.popleft().future
            if future is not None and not future.done():
                self._late += 1
                future.set_result(False)
        self._timer = None
        if deadlines:
            due_s = deadlines[0].since_s + wait_s - now
            self._timer = self._running().call_later(due_s, self._expire)


def _is_answered(entry: Entry) -> bool:
    return entry.future is None or entry.future.done()
