"""A thread beside the writer's: keeps the store's log short, so that no commit has to."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from regulars.stores.base import Checkpointing, StoreError

EVERY_S: Final = 0.25
EVERY_ROWS: Final = 1000
"""Between two checkpoints lie at least so long and so many rows. Each takes two syncs, that commits
hardly notice; the commit that starts the log anew copies what came since the last one."""

STOP_WAIT_S: Final = 10.0

logger = logging.getLogger("regulars.ledger")


class Checkpointer:
    """Owns the thread. `committed` tells how many rows were, since the start."""

    def __init__(self, store: Checkpointing, committed: Callable[[], int]) -> None:
        self._store = store
        self._committed = committed
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="regulars-checkpoint", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, once it has finished what it is at."""
        self._stopping.set()
        self._thread.join(STOP_WAIT_S)

    def _run(self) -> None:
        done, failing = 0, False
        while not self._stopping.wait(EVERY_S):
            committed = self._committed()
            if committed - done < EVERY_ROWS:
                continue
            try:
                self._store.checkpoint()
            except StoreError as exc:
                if not failing:
                    logger.warning("ledger_checkpoint_failed reason=%r", str(exc))
                failing = True
            else:
                done, failing = committed, False
