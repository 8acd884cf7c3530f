"""Giving people who come after a rotation their new pseudonyms, beside the request path."""

import logging
import queue
import threading
from typing import Final

from regulars.stores.base import People, StoreError

log = logging.getLogger("regulars.ledger")

WAITING_MAX: Final = 10_000
"""More are left for the next worker or start that sees them."""
STOP_S: Final = 5.0


class Renames:
    """One thread that renames people, one after the other."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._waiting: queue.Queue[tuple[str, str, str] | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="renames", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def rename(self, account: str, name: str, into: str) -> None:
        """Have a person renamed soon; where too many wait, not now."""
        try:
            self._waiting.put_nowait((account, name, into))
        except queue.Full:
            log.warning("rename_left_for_later waiting=%d", WAITING_MAX)

    def stop(self) -> None:
        """End with what waits now, within a bound."""
        if self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=STOP_S)
            except queue.Full:
                return
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while (asked := self._waiting.get()) is not None:
            try:
                self._people.rename(*asked)
            except StoreError as exc:
                # He is found under his earlier name, and renamed when he is next seen first.
                log.warning("rename_failed reason=%r", str(exc))
