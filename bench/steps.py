"""What the store does for the writer, step by step: how long each took, wall clock and CPU."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from regulars.model.generation import Generation
from regulars.stores.sqlite import SqliteStore

SLOW_S = 0.005
T = TypeVar("T")


class TimedStore:
    """A store as the writer sees it."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._wall_s: dict[str, list[float]] = {}
        self._cpu_s: dict[str, float] = {}

    @property
    def spool_path(self) -> Path:
        """See `HasSpoolPath`."""
        return self._store.spool_path

    @property
    def is_pressed(self) -> bool:
        """See `Tidy`."""
        return self._store.is_pressed

    def kept_from_us(self) -> int:
        """See `Tidy`."""
        return self._store.kept_from_us()

    @property
    def written(self) -> int:
        """See `Checkpointing`."""
        return self._store.written

    def append(self, rows: Sequence[Generation]) -> None:
        """Time a commit of rows."""
        self._timed("commit", lambda: self._store.append(rows))

    def tidy(self, *, keep_from_us: int | None) -> bool:
        """Time a step of folding."""
        return self._timed("fold", lambda: self._store.tidy(keep_from_us=keep_from_us))

    def checkpoint(self) -> None:
        """Time a checkpoint."""
        self._timed("checkpoint", self._store.checkpoint)

    def report(self) -> str:
        """Say how many steps of each kind there were, and how many of them were slow."""
        return "; ".join(
            f"{len(found)} {kind}s, {sum(took > SLOW_S for took in found)} over "
            f"{SLOW_S * 1e3:g} ms, longest {max(found) * 1e3:.1f}, "
            f"{self._cpu_s[kind] / len(found) * 1e3:.2f} ms of CPU each"
            for kind, found in self._wall_s.items()
        )

    def _timed(self, kind: str, step: Callable[[], T]) -> T:
        began, cpu = time.perf_counter(), time.thread_time()
        try:
            return step()
        finally:
            self._wall_s.setdefault(kind, []).append(time.perf_counter() - began)
            self._cpu_s[kind] = self._cpu_s.get(kind, 0.0) + time.thread_time() - cpu
