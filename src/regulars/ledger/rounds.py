"""Something that is done again and again beside the request path, on a thread of its own."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from regulars.stores.base import StoreError

log = logging.getLogger("regulars.ledger")

STOP_S: Final = 10.0
"""How long the end waits for a round that is under way."""


class Rounds:
    """Calls `go` at the start, every `period_s`, and where it is `finally_too` once at the end.

    A round that fails with a StoreError is told once, as `failed`, until one succeeds again: the
    next does its work too.
    """

    def __init__(
        self, go: Callable[[], None], *, period_s: float, failed: str, finally_too: bool = False
    ) -> None:
        self._go = go
        self._period_s = period_s
        self._failed = failed
        self._finally_too = finally_too
        self._failing = False
        self._stopping = threading.Event()
        name = f"regulars-{failed.partition('_')[0]}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, within a bound."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        self._round()
        while not self._stopping.wait(self._period_s):
            self._round()
        if self._finally_too:
            self._round()

    def _round(self) -> None:
        try:
            self._go()
        except StoreError as exc:
            if not self._failing:
                log.warning("%s reason=%r", self._failed, str(exc))
            self._failing = True
        else:
            self._failing = False
