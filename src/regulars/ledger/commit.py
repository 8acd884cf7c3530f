"""The writer's thread: takes what is queued, commits it as one, retries, isolates, spools."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from regulars.config.settings import LedgerSettings
from regulars.ledger.spool import finish_spool, read_spool, spool_files, write_spool
from regulars.model.generation import Generation
from regulars.stores.base import Ledger, RowError, StoreError

WAITING_LOG_S: Final = 10.0
"""At most one `ledger_rows_waiting` in this time, however often the store is tried."""

GATHER_S: Final = 0.002
GATHER_ROWS: Final = range(2, 16)
"""When so many rows already wait as a commit ends, the load is high but batches are small: a
moment's pause lets more join, since a lone row costs several times the CPU of one in a group.
An idle gateway, or one client asking in turn, never pauses."""

IDS_LOGGED_MAX: Final = 100

logger = logging.getLogger("regulars.ledger")


@dataclass(slots=True, eq=False)
class Entry:
    """A row on its way; `future` is None for rows read from a spool file."""

    row: Generation
    future: asyncio.Future[bool] | None
    submitted_s: float
    told: bool = False


class StoppingError(Exception):
    """The writer is stopping and the store took nothing at the last try."""


class Committer:
    """Owns the thread and the only calls of `Ledger.append`."""

    def __init__(
        self,
        ledger: Ledger,
        settings: LedgerSettings,
        queue: deque[Entry],
        *,
        tell: Callable[[Sequence[Entry], Exception | None], None],
        spool: Path | None,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._queue = queue
        self._tell_loop = tell
        self._spool = spool
        self._in_hand: list[Entry] = []
        # A queue in C as a door bell: threading.Event costs ten times as much a ring.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._rung = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._unwritable = 0
        self._failing = False
        self._logged_s: float | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="regulars-ledger", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that the queue has grown."""
        # Only the thread clears it, before it looks at the queue: no row is overlooked.
        if not self._rung:
            self._rung = True
            self._bell.put(None)

    def stop(self, wait_s: float) -> None:
        """Let the thread try once more and end; spool what is left."""
        self._stopping.set()
        self._bell.put(None)
        if self._thread is not None:
            self._thread.join(wait_s)
            if self._thread.is_alive():
                # What it has in hand may still be stored; spooling it too does no harm.
                logger.error("ledger_writer_stuck wait_s=%s", wait_s)
        self._spool_unwritten()

    def _run(self) -> None:
        try:
            self._store_spooled()
            while not (self._stopping.is_set() and not self._queue):
                self._store_queued()
        except StoppingError:
            logger.debug("ledger_writer_stopping")

    def _store_queued(self) -> None:
        if not self._queue:
            self._bell.get()
            self._rung = False
            return
        size = min(len(self._queue), self._settings.batch_rows_max)
        self._in_hand = [self._queue.popleft() for _ in range(size)]
        self._store(self._in_hand)
        if len(self._queue) in GATHER_ROWS:
            time.sleep(GATHER_S)

    def _store(self, entries: Sequence[Entry]) -> None:
        """Commit the entries, however long it takes; a row that can never be is set apart."""
        while True:
            last_try = self._stopping.is_set()
            try:
                self._ledger.append([entry.row for entry in entries])
            except RowError as exc:
                self._isolate(entries, exc)
                return
            except StoreError as exc:
                self._note_failure(exc)
                if last_try:
                    raise StoppingError from exc
                self._stopping.wait(self._settings.retry_s)
            except Exception as exc:
                logger.exception("ledger_writer_mistake")
                self._isolate(entries, exc)
                return
            else:
                self._note_success()
                self._tell(entries, None)
                return

    def _isolate(self, entries: Sequence[Entry], error: Exception) -> None:
        """Halve the batch until the bad row stands alone: the others go in, in order."""
        if len(entries) > 1:
            middle = len(entries) // 2
            self._store(entries[:middle])
            self._store(entries[middle:])
            return
        logger.error("ledger_row_unwritable id=%s reason=%r", entries[0].row.id, str(error))
        self._unwritable += 1
        self._tell(entries, error)

    def _tell(self, entries: Sequence[Entry], error: Exception | None) -> None:
        for entry in entries:
            entry.told = True
        self._tell_loop(entries, error)

    def _note_failure(self, error: StoreError) -> None:
        now = time.monotonic()
        self._failing = True
        if self._logged_s is not None and now - self._logged_s < WAITING_LOG_S:
            return
        self._logged_s = now
        waiting = self._unwritten()
        if waiting:
            logger.warning(
                "ledger_rows_waiting count=%d oldest_s=%.1f first=%s last=%s reason=%r",
                len(waiting),
                now - waiting[0].submitted_s,
                waiting[0].row.id,
                waiting[-1].row.id,
                str(error),
            )

    def _note_success(self) -> None:
        if self._failing:
            self._failing, self._logged_s = False, None
            logger.warning("ledger_recovered waiting=%d", len(self._queue))

    def _unwritten(self) -> list[Entry]:
        # list() of a deque another thread appends to is atomic under the interpreter's lock.
        return [entry for entry in self._in_hand if not entry.told] + list(self._queue)

    def _store_spooled(self) -> None:
        """Bring in what earlier processes left, before anything else."""
        if self._spool is None:
            return
        for path in spool_files(self._spool):
            try:
                rows, unreadable = read_spool(path)
            except OSError as exc:
                logger.warning("ledger_spool_unreadable file=%s reason=%r", path, str(exc))
                continue
            before, step = self._unwritable, self._settings.batch_rows_max
            for start in range(0, len(rows), step):
                now = time.monotonic()
                self._in_hand = [Entry(row, None, now) for row in rows[start : start + step]]
                self._store(self._in_hand)
            unreadable += self._unwritable - before
            finish_spool(path, unreadable=unreadable)
            logger.warning(
                "ledger_spool_stored file=%s rows=%d unreadable=%d", path, len(rows), unreadable
            )

    def _spool_unwritten(self) -> None:
        # Rows that came from a spool file are still in it.
        left = [entry for entry in self._unwritten() if entry.future is not None]
        self._queue.clear()
        self._in_hand = []
        if not left:
            return
        for start in range(0, len(left), IDS_LOGGED_MAX):
            ids = ",".join(entry.row.id for entry in left[start : start + IDS_LOGGED_MAX])
            logger.error("ledger_rows_unwritten count=%d ids=%s", len(left), ids)
        kept = "nowhere"
        if self._spool is not None:
            try:
                path, refused = write_spool(self._spool, [entry.row for entry in left])
            except OSError as exc:
                logger.critical("ledger_spool_failed rows=%d reason=%r", len(left), str(exc))
            else:
                kept = str(path)
                logger.error(
                    "ledger_rows_spooled count=%d refused=%d file=%s",
                    len(left) - len(refused),
                    len(refused),
                    path,
                )
        self._tell(left, StoreError(f"stopped before the store took the row; kept in {kept}"))
