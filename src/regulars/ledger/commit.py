"""The writer's thread: takes what is queued, commits it as one, retries, isolates, spools."""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from regulars.config.settings import LedgerSettings
from regulars.ledger.contents import ContentKeeper
from regulars.ledger.entry import Entry
from regulars.ledger.journal import Journal, Orphan, Started, is_supported, orphans
from regulars.ledger.spool import finish_spool, read_spool, spool_files, write_spool
from regulars.model.errors import InternalError, UnrecordedError
from regulars.model.generation import Generation
from regulars.stores.base import Correcting, Ledger, RowError, StoreError, Tidy

WAITING_LOG_S: Final = 10.0
"""At most one `ledger_rows_waiting` in this time, however often the store is tried."""

GATHER_S: Final = 0.002
GATHER_ROWS: Final = range(2, 16)
"""When so many rows already wait as a commit ends, the load is high but batches are small: a
moment's pause lets more join, since a lone row costs several times the CPU of one in a group.
An idle gateway, or one client asking in turn, never pauses."""

TIDY_EVERY_S: Final = 0.01
"""Between two steps of tidying up: batches, also those of other processes, go in between."""

TIDY_PATIENCE_S: Final = 0.5
"""So long tidying up lets rows go first that wait, unless the store is pressed."""

TIDY_IDLE_S: Final = 30.0
"""How often an idle writer looks whether something is due."""

SPOOL_AT: Final = 2
"""The store is away and this part of the queue is taken, a half: its rows go into a file."""

CORRECTIONS: Final = frozenset({UnrecordedError.code, InternalError.code})
"""Errors of rows that may come a second time: what the client got is known after the row is queued."""

SPOOL_PAUSE_MAX_S: Final = 60.0
"""Until a spool file that could not be read or removed is tried again; at first it is `retry_s`."""

IDS_LOGGED_MAX: Final = 100
DAY_US: Final = 86_400_000_000

logger = logging.getLogger("regulars.ledger")


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
        starting: deque[Started],
        open_: Mapping[str, Started],
        contents: ContentKeeper | None = None,
    ) -> None:
        self._ledger = ledger
        self._tidying = ledger if isinstance(ledger, Tidy) else None
        self._settings = settings
        self._contents = contents
        self._queue = queue
        self._tell_loop = tell
        self._spool = spool
        self._starting = starting
        self._journal = Journal(spool, open_) if spool is not None and is_supported() else None
        self._in_hand: list[Entry] = []
        self._noting = threading.Lock()
        self._told = 0  # of those in hand, from the left
        # A queue in C as a door bell: threading.Event costs ten times as much a ring.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._rung = False
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.unwritable = 0
        self.is_failing = False
        self._logged_s: float | None = None
        self._tidied_s = self._tidy_at_s = 0.0
        self._has_spooled = True  # look for what earlier processes left
        self._spool_at_s, self._spool_pause_s = math.inf, settings.retry_s
        self.spooled = self.commits = self.committed = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="regulars-ledger", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that the queue has grown, or the requests that started."""
        # Only the thread clears it, before it looks at the queue: no row is overlooked.
        if not self._rung:
            self._rung = True
            self._bell.put(None)

    def stop(self, wait_s: float) -> None:
        """Let the thread try once more and end; spool what is left."""
        self._stopping.set()
        self._bell.put(None)
        stuck = False
        if self._thread is not None:
            self._thread.join(wait_s)
            stuck = self._thread.is_alive()
            if stuck:
                # What it has in hand may still be stored; spooling it too does no harm.
                logger.error("ledger_writer_stuck wait_s=%s", wait_s)
        kept = self._spool_unwritten()
        if self._journal is not None and not stuck:
            with self._noting:
                self._journal.close(keep=not kept)

    def _run(self) -> None:
        try:
            self._store_spooled()
            self._recover_orphans()
            while not (self._stopping.is_set() and not self._queue):
                try:
                    self._step()
                except StoppingError:
                    raise
                except Exception:
                    # The thread's top: without it every answer would be late, for good.
                    logger.exception("ledger_writer_mistake")
                    self._stopping.wait(self._settings.retry_s)
            while self._contents is not None and self._contents.waiting:
                self._contents.store_some()
        except StoppingError:
            logger.debug("ledger_writer_stopping")

    def _step(self) -> None:
        if self._starting:
            self.note_started()
        if self._has_spooled:
            self._store_spooled()
        elif self._queue:
            self._store_queued()
        elif self._contents is not None and self._contents.waiting:
            self._contents.store_some()
        else:
            try:
                self._bell.get(timeout=max(0.0, self._tidy_at_s - time.monotonic()))
            except Empty:
                pass  # nothing came: time to tidy up
            else:
                self._rung = False
        now = time.monotonic()
        if now >= self._spool_at_s:
            self._has_spooled, self._spool_at_s = True, math.inf
        if now >= self._tidy_at_s and self._may_tidy(now):
            self._tidy()

    def _store_queued(self) -> None:
        self._rung = False
        size = min(len(self._queue), self._settings.batch_rows_max)
        self._take([self._queue.popleft() for _ in range(size)])
        self._store(self._in_hand)
        self._tidy_at_s = min(self._tidy_at_s, self._tidied_s + TIDY_EVERY_S)
        if len(self._queue) in GATHER_ROWS:
            time.sleep(GATHER_S)

    def _take(self, entries: list[Entry]) -> None:
        self._in_hand, self._told = entries, 0

    def _store(self, entries: Sequence[Entry]) -> None:
        """Commit the entries, however long it takes; a row that can never be is set apart."""
        # All of what is in hand may have gone into a spool file meanwhile.
        while self._told < len(self._in_hand):
            last_try = self._stopping.is_set()
            began_s = time.monotonic()
            try:
                rows = [entry.row for entry in entries]
                self._ledger.append(rows)
                self._correct(rows)
            except RowError as exc:
                self._isolate(entries, exc)
                return
            except StoreError as exc:
                self._note_failure(exc)
                if last_try:
                    raise StoppingError from exc
                self.note_started()
                if not ((self._is_full() or self._is_late(began_s)) and self._spool_waiting()):
                    self._stopping.wait(self._settings.retry_s)
            except Exception as exc:
                logger.exception("ledger_writer_mistake")
                self._isolate(entries, exc)
                return
            else:
                self._note_success()
                self.commits += 1
                self.committed += len(entries)
                self._tell(entries, None)
                return

    def _correct(self, rows: Sequence[Generation]) -> None:
        """Correct those that came after their own first version, which `append` had kept."""
        for row in rows:
            if row.error in CORRECTIONS and isinstance(self._ledger, Correcting):
                self._ledger.correct(row)

    def _isolate(self, entries: Sequence[Entry], error: Exception) -> None:
        """Halve the batch until the bad row stands alone: the others go in, in order."""
        if len(entries) > 1:
            middle = len(entries) // 2
            self._store(entries[:middle])
            self._store(entries[middle:])
            return
        logger.error("ledger_row_unwritable id=%s reason=%r", entries[0].row.id, str(error))
        self.unwritable += 1
        self._tell(entries, error)

    def _tell(self, entries: Sequence[Entry], error: Exception | None) -> None:
        self._told += len(entries)
        self._tell_loop(entries, error)

    def _note_failure(self, error: StoreError) -> None:
        now = time.monotonic()
        self.is_failing = True
        if self._logged_s is not None and now - self._logged_s < WAITING_LOG_S:
            return
        self._logged_s = now
        waiting = self._unwritten()
        if waiting:
            logger.warning(
                "ledger_rows_waiting count=%d oldest_s=%.1f first=%s last=%s reason=%r",
                len(waiting),
                now - waiting[0].since_s,
                waiting[0].row.id,
                waiting[-1].row.id,
                str(error),
            )

    def _note_success(self) -> None:
        if self.is_failing:
            self.is_failing, self._logged_s = False, None
            logger.warning("ledger_recovered waiting=%d", len(self._queue))

    def _unwritten(self) -> list[Entry]:
        # list() of a deque another thread appends to is atomic under the interpreter's lock.
        return self._in_hand[self._told :] + list(self._queue)

    def _is_full(self) -> bool:
        """Say whether it is time to spool: before the queue is full and requests are refused."""
        in_hand = self._in_hand[self._told :]
        fresh = len(in_hand) if in_hand and in_hand[0].future is not None else 0
        return (fresh + len(self._queue)) * SPOOL_AT >= self._settings.queue_rows_max

    def _is_late(self, began_s: float) -> bool:
        """Say whether half of an answer's time would be up, were one more try to fail.

        It would take as long as the one that began then. The other half is for the file.
        """
        if self._settings.when_late != "serve":
            return False
        oldest = next((one for one in self._in_hand[self._told :] if one.future), None)
        if oldest is None and self._queue:
            oldest = self._queue[0]
        if oldest is None:
            return False
        now_s = time.monotonic()
        over_s = now_s + self._settings.retry_s + (now_s - began_s)
        return over_s >= oldest.since_s + self._settings.commit_wait_s / 2

    # --- tidying up

    def _may_tidy(self, now_s: float) -> bool:
        """Say whether nothing waits that would have to wait for it, or it can wait no longer."""
        if not self._queue or now_s >= self._tidy_at_s + TIDY_PATIENCE_S:
            return True
        return self._tidying is not None and self._tidying.is_pressed

    def _tidy(self) -> None:
        """Let the store do one step of what is due."""
        self._tidied_s = time.monotonic()
        self._tidy_at_s = self._tidied_s + TIDY_IDLE_S
        keep_days = self._settings.keep_days
        if self._stopping.is_set():
            return
        oldest_us = None if keep_days is None else time.time_ns() // 1000 - keep_days * DAY_US
        try:
            more = self._tidying is not None and self._tidying.tidy(keep_from_us=oldest_us)
            more = (self._contents is not None and self._contents.tidy()) or more
        except StoreError as exc:
            logger.warning("ledger_tidy_failed reason=%r", str(exc))
            return
        if more:
            self._tidy_at_s = self._tidied_s + TIDY_EVERY_S

    # --- the journal of requests that started

    def note_started(self) -> None:
        """Write down who started: by the thread, or by another while that waits for the store."""
        with self._noting:
            started = [self._starting.popleft() for _ in range(len(self._starting))]
            if self._journal is None:
                return
            try:
                self._journal.add(started)
            except OSError as exc:
                logger.warning(
                    "ledger_journal_failed requests=%d reason=%r", len(started), str(exc)
                )

    def _recover_orphans(self) -> None:
        """Write rows for the requests of processes that died: the ledger ignores those it has."""
        if self._spool is None or not is_supported():
            return
        for orphan in orphans(self._spool):
            try:
                self._recover(orphan)
            except OSError as exc:
                logger.warning("ledger_journal_unreadable file=%s reason=%r", orphan.path, str(exc))
            finally:
                orphan.close()

    def _recover(self, orphan: Orphan) -> None:
        noted, unreadable = orphan.rows()
        # Rows deleted for their age are not known to the ledger: they would count once more.
        kept_from_us = self._kept_from_us()
        rows = [row for row in noted if row.created_at_us >= kept_from_us]
        self._store_rows(rows)
        orphan.remove()
        logger.warning(
            "ledger_journal_recovered file=%s requests=%d unreadable=%d",
            orphan.path,
            len(rows),
            unreadable,
        )

    def _kept_from_us(self) -> int:
        while self._tidying is not None:
            try:
                return self._tidying.kept_from_us()
            except StoreError as exc:
                self._note_failure(exc)
                if self._stopping.is_set():
                    raise StoppingError from exc
                self._stopping.wait(self._settings.retry_s)
        return 0

    # --- the spool

    def _store_rows(self, rows: Sequence[Generation]) -> None:
        step = self._settings.batch_rows_max
        for start in range(0, len(rows), step):
            now = time.monotonic()
            self._take([Entry(row, None, now) for row in rows[start : start + step]])
            self._store(self._in_hand)

    def _store_spooled(self) -> None:
        """Bring in what lies in files, of this process or of earlier ones, before anything else."""
        self._has_spooled = False
        if self._spool is None:
            return
        failed: list[OSError] = []
        try:
            files = spool_files(self._spool)
        except OSError as exc:
            files, failed = [], [exc]
        unreadable: dict[Path, int] = {}
        rows: list[Generation] = []
        for path in files:
            try:
                found, unreadable[path] = read_spool(path)
            except FileNotFoundError:
                continue  # another process has just brought it in
            except OSError as exc:
                failed.append(exc)
                continue
            rows += found
            # Where few requests came while the store was away, each may have a file of its own.
            if len(rows) >= self._settings.batch_rows_max:
                failed += self._store_files(unreadable, rows)
                unreadable, rows = {}, []
        failed += self._store_files(unreadable, rows)
        if failed:
            logger.warning("ledger_spool_unreadable reason=%r", str(failed[0]))
            self._spool_at_s = time.monotonic() + self._spool_pause_s
            self._spool_pause_s = min(2 * self._spool_pause_s, SPOOL_PAUSE_MAX_S)
            return
        self._spool_pause_s = self._settings.retry_s
        if not self._has_spooled:
            self.spooled = 0  # also what another process has brought in

    def _store_files(
        self, unreadable: Mapping[Path, int], rows: Sequence[Generation]
    ) -> list[OSError]:
        """Store the rows of these files and remove them; return what went wrong with removing."""
        before = self.unwritable
        self._store_rows(rows)
        unwritable = self.unwritable - before
        self.spooled = max(0, self.spooled - len(rows))
        failed: list[OSError] = []
        for path, lines in unreadable.items():
            try:
                finish_spool(path, unreadable=lines + unwritable)
            except OSError as exc:
                failed.append(exc)
        if unreadable:
            logger.warning(
                "ledger_spool_stored file=%s files=%d rows=%d unreadable=%d",
                next(iter(unreadable)),
                len(unreadable),
                len(rows),
                sum(unreadable.values()) + unwritable,
            )
        return failed

    def _spool_waiting(self) -> bool:
        """Move all that waits into a file, so that the queue takes more; False if it cannot be."""
        waiting = [entry for entry in self._unwritten() if entry.future is not None]
        if self._spool is None or self.spooled + len(waiting) > self._settings.spool_rows_max:
            return False
        try:
            path, refused = write_spool(self._spool, [entry.row for entry in waiting])
        except OSError as exc:
            logger.warning("ledger_spool_failed rows=%d reason=%r", len(waiting), str(exc))
            return False
        self._has_spooled = True
        self.spooled += len(waiting) - len(refused)
        in_hand = self._in_hand[self._told :]
        if in_hand and in_hand[0].future is not None:
            self._told = len(self._in_hand)
        else:
            in_hand = []
        for _ in range(len(waiting) - len(in_hand)):
            self._queue.popleft()
        logger.warning(
            "ledger_rows_spooled count=%d refused=%d file=%s", len(waiting), len(refused), path
        )
        self._tell_spooled(waiting, set(refused), path)
        return True

    def _tell_spooled(self, entries: Sequence[Entry], refused: set[str], path: Path) -> None:
        kept = [entry for entry in entries if entry.row.id not in refused]
        lost = [entry for entry in entries if entry.row.id in refused]
        self._tell_loop(kept, None)
        if lost:
            self.unwritable += len(lost)
            self._tell_loop(lost, RowError(f"the row does not fit the spool file {path}"))

    def _spool_unwritten(self) -> bool:
        """At the end: spool what the store did not take; False where that fails."""
        # Rows that came from a spool file are still in it.
        left = [entry for entry in self._unwritten() if entry.future is not None]
        self._queue.clear()
        self._take([])
        if not left:
            return True
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
        error = StoreError(f"stopped before the store took the row; kept in {kept}")
        self._tell_loop(left, error)
        return kept != "nowhere"
