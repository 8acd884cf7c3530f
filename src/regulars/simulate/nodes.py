"""Several routers that tell each other once a second, and hear it late."""

from collections import deque
from math import floor
from typing import Final

from regulars.routing.sharing import Outbox, Sharing
from regulars.routing.warmhrw import Router

TELL_EVERY_S: Final = 1.0


class Nodes:
    """Routers and what is under way between them. `delay_s` None: there is no channel."""

    def __init__(self, count: int, delay_s: float | None) -> None:
        sharing = Sharing.ALONE
        if count > 1:
            sharing = Sharing.CUT if delay_s is None else Sharing.CHANNEL
        self._routers = [Router(sharing=sharing) for _ in range(count)]
        self._delay_s = delay_s or 0.0
        self._shares = sharing is Sharing.CHANNEL
        self._under_way: deque[tuple[float, Router, Outbox]] = deque()
        self._told_s: float | None = None

    def at(self, now_s: float) -> list[Router]:
        """Return the routers as they are at a time, which never goes back."""
        if self._shares:
            self._advance(now_s)
        return self._routers

    def _advance(self, now_s: float) -> None:
        if self._told_s is None:
            self._told_s = floor(now_s)
        while self._told_s + TELL_EVERY_S <= now_s:
            told_s = self._told_s + TELL_EVERY_S
            self._deliver(told_s)
            if not self._tell(told_s) and not self._under_way:
                # Nothing happens until now: no need to go there second by second.
                told_s = max(told_s, floor(now_s))
            self._told_s = told_s
        self._deliver(now_s)

    def _tell(self, now_s: float) -> bool:
        told = False
        for router in self._routers:
            outbox = router.outbox(now_s)
            if outbox.placements or outbox.loads.endpoints:
                self._under_way.append((now_s + self._delay_s, router, outbox))
                told = True
        return told

    def _deliver(self, now_s: float) -> None:
        while self._under_way and self._under_way[0][0] <= now_s:
            at_s, sender, outbox = self._under_way.popleft()
            for router in self._routers:
                if router is not sender:
                    router.merge(outbox.placements, outbox.loads, at_s, late_s=self._delay_s)
