"""Keeps this process's router in step with the others that route the same users.

What became warm here is told at once, what others told is heard once a second, and a
conversation that goes on and that nobody here knows is asked for once, with a short bound. All
of it in threads: the event loop never waits. Losing the channel costs warmth, never a request.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from regulars.config.settings import RoutingSettings
from regulars.routing.health import Health
from regulars.routing.keys import StickyKeys
from regulars.routing.plan import Candidate
from regulars.routing.sharing import Outbox, Sharing
from regulars.routing.warmhrw import Router
from regulars.stores.base import StoreError
from regulars.stores.shared import Heard, SharedRouting
from regulars.wire.chat import ChatRequest

LOST_S: Final = 5.0
"""Placements that come so late still do (measured); after that all decide as if alone."""
ROUND_TIMEOUT_S: Final = 2.0
TELLS_PER_PERIOD: Final = 20
"""How often at most what is new here is told between two hearings."""
MERGED_AT_ONCE: Final = 2000
"""Placements taken in between two looks at the requests: about 2 ms."""
ASKING_MAX: Final = 64
UNTOLD_MAX: Final = 200
"""Outboxes that wait for the channel; beyond it they are lost."""

log = logging.getLogger("regulars.sharing")


class RoutingExchange:
    """Tells, hears and asks. `channel` is asked by one thread, `asking` by another."""

    def __init__(
        self,
        router: Router,
        health: Health,
        settings: RoutingSettings,
        *,
        channel: SharedRouting,
        asking: SharedRouting,
        lost_s: float = LOST_S,
    ) -> None:
        self._router = router
        self._health = health
        self._share_s = settings.share_s
        self._ask_timeout_s = settings.ask_timeout_s
        self._lost_s = lost_s
        self._channel = channel
        self._asking = asking
        self._talker = ThreadPoolExecutor(1, "regulars-sharing")
        self._asker = ThreadPoolExecutor(1, "regulars-asking")
        self._asked = 0
        self._untold: list[Outbox] = []
        self._told = 0
        self._well_at_s = time.monotonic()
        self._round: asyncio.Future[list[Heard]] | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Hear what is known already, for a bounded time, and go on from there."""
        await self._exchange(self._channel.hear)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="sharing")

    async def stop(self) -> None:
        """End it; threads in the middle of a question are left to their own bound."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            # Whoever comes after, as at a restart, starts warm.
            await self._exchange(self._tell())
        for pool, shared in ((self._talker, self._channel), (self._asker, self._asking)):
            pool.submit(shared.close)
            pool.shutdown(wait=False)

    def changed(self) -> None:
        """Note that something became warm here, or fell ill, which the others don't know of."""
        self._changed.set()

    async def learn(self, request: ChatRequest, candidates: Sequence[Candidate]) -> None:
        """Ask the others for a conversation that goes on and that nobody here knows."""
        keys = candidates[0].keys
        if self._asked >= ASKING_MAX or self._router.sharing is not Sharing.CHANNEL:
            return
        if self._router.knows(keys, time.monotonic()) or not _goes_on(request):
            return
        self._asked += 1
        try:
            asking = asyncio.get_running_loop().run_in_executor(
                self._asker, self._asking.ask, _both(keys)
            )
            known = await asyncio.wait_for(asking, self._ask_timeout_s)
        except (TimeoutError, StoreError):
            return  # not known in time: the conversation is cold, which is all it costs
        finally:
            self._asked -= 1
        self._router.merge(known, Outbox().loads, time.monotonic())

    async def _run(self) -> None:
        try:
            await self._keep_in_step()
        except Exception:
            # The top of the task: a mistake of ours must not look like a channel that is well.
            log.exception("sharing_mistake")
            self._router.sharing = Sharing.CUT

    async def _keep_in_step(self) -> None:
        """Hear once a period; in between, tell what is new as soon as the gap allows."""
        gap_s = self._share_s / TELLS_PER_PERIOD
        hear_at_s = 0.0
        while True:
            self._changed.clear()
            now_s = time.monotonic()
            if now_s >= hear_at_s:
                hear_at_s = now_s + self._share_s
                await self._exchange(self._tell_and_hear())
            else:
                await self._exchange(self._tell())
            await asyncio.sleep(gap_s)
            try:
                await asyncio.wait_for(
                    self._changed.wait(), max(hear_at_s - time.monotonic(), 0.001)
                )
            except TimeoutError:
                continue

    def _collect(self) -> list[Outbox]:
        now_s = time.monotonic()
        outbox = replace(self._router.outbox(now_s), troubles=self._health.troubles(now_s))
        told = outbox.placements or outbox.loads.endpoints or outbox.troubles
        if told and len(self._untold) < UNTOLD_MAX:
            self._untold.append(outbox)
        return list(self._untold)

    def _tell(self) -> Callable[[], list[Heard]]:
        outboxes = self._collect()

        def talk() -> list[Heard]:
            for outbox in outboxes:
                self._channel.tell(outbox)
            return []

        return talk

    def _tell_and_hear(self) -> Callable[[], list[Heard]]:
        tell = self._tell()

        def talk() -> list[Heard]:
            tell()
            return self._channel.hear()

        return talk

    async def _exchange(self, talk: Callable[[], list[Heard]]) -> None:
        """Do one round in the thread, and take in what was heard.

        A round that takes too long is waited for again in the next one's stead.
        """
        if self._round is None:
            self._told = len(self._untold)
            self._round = asyncio.get_running_loop().run_in_executor(self._talker, talk)
        done, _ = await asyncio.wait({self._round}, timeout=ROUND_TIMEOUT_S)
        if not done:
            self._judge("it does not answer")
            return
        ended, self._round = self._round, None
        try:
            heard = ended.result()
        except StoreError as error:
            self._judge(str(error))
            return
        del self._untold[: self._told]
        self._well()
        for one in heard:
            await self._merge(one)

    async def _merge(self, heard: Heard) -> None:
        router = self._router
        now_s = time.monotonic()
        router.merge((), heard.loads, now_s, late_s=heard.late_s)
        self._health.hear(heard.troubles, now_s, late_s=heard.late_s)
        for start in range(0, len(heard.placements), MERGED_AT_ONCE):
            piece = heard.placements[start : start + MERGED_AT_ONCE]
            router.merge(piece, Outbox().loads, time.monotonic())
            await asyncio.sleep(0)

    def _judge(self, reason: str) -> None:
        """Give the channel up once it was away for long."""
        if self._router.sharing is Sharing.CUT:
            return
        if time.monotonic() - self._well_at_s >= self._lost_s:
            self._router.sharing = Sharing.CUT
            self._untold.clear()
            log.warning("sharing_lost reason=%r", reason)

    def _well(self) -> None:
        self._well_at_s = now_s = time.monotonic()
        if self._router.sharing is Sharing.CUT:
            self._router.sharing = Sharing.CHANNEL
            # What became warm meanwhile; the loads the others have seen or forgotten.
            self._untold = [
                Outbox(
                    placements=self._router.everything(now_s).placements,
                    troubles=self._health.troubles(now_s, again=True),
                )
            ]
            self._changed.set()
            log.warning("sharing_back")


def _both(keys: StickyKeys) -> tuple[int, int]:
    return keys.session, keys.user


def _goes_on(request: ChatRequest) -> bool:
    """Say whether the conversation has an answer in it already."""
    return bytes(request.fields["messages"]).find(b'"assistant"') >= 0
