"""A thread beside the writer's: keeps the store's log short, so that no commit has to."""

from typing import Final

from regulars.ledger.rounds import Rounds
from regulars.stores.base import Checkpointing

EVERY_S: Final = 0.25
EVERY_ROWS: Final = 1000
"""Between two checkpoints lie at least so long and so many rows, those that were folded meanwhile
included: each of those writes more pages than its commit. A checkpoint takes two syncs, that commits
hardly notice; the commit that starts the log anew copies what came since the last one."""


class Checkpointer:
    """Owns the thread."""

    def __init__(self, store: Checkpointing) -> None:
        self._store = store
        self._done = 0
        self._rounds = Rounds(self._look, period_s=EVERY_S, failed="checkpoint_failed")

    def start(self) -> None:
        """Start the thread."""
        self._rounds.start()

    def stop(self) -> None:
        """End the thread, once it has finished what it is at."""
        self._rounds.stop()

    def _look(self) -> None:
        written = self._store.written
        if written - self._done >= EVERY_ROWS:
            self._store.checkpoint()
            self._done = written
