"""Notices when a stream has been quiet for long: one lazy timer, nothing per chunk."""

import asyncio
from typing import Protocol


class _Nudged(Protocol):
    def nudge(self) -> None: ...


class QuietTimer:
    """Nudges the response that is waited for once per `period_s`.

    A nudge reaches only a wait that has nothing to give, so a busy stream never notices.
    """

    __slots__ = ("_handle", "_loop", "_period_s", "_rang", "waiting_for")

    def __init__(self, period_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._period_s = period_s
        self._rang = False
        self.waiting_for: _Nudged | None = None
        self._handle = self._loop.call_later(period_s, self._tick)

    def _tick(self) -> None:
        if self.waiting_for is not None:
            self._rang = True
            self.waiting_for.nudge()
        self._handle = self._loop.call_later(self._period_s, self._tick)

    def rang(self) -> bool:
        """Tell once whether a period went by since the last time it was asked."""
        rang, self._rang = self._rang, False
        return rang

    def stop(self) -> None:
        """End the nudging."""
        self._handle.cancel()
