"""Start and end of one process's gateway: what begins when, and what may still finish."""

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from starlette.applications import Starlette

from regulars.delivery.runner import ReportRunner
from regulars.gateway.relay import Relay
from regulars.gateway.sharing import RoutingExchange
from regulars.ledger import LedgerWriter, NoLedger
from regulars.ledger.persons import Persons
from regulars.ledger.renames import Renames
from regulars.ledger.sightings import SightingsKeeper
from regulars.stores.sqlite import SqliteStore
from regulars.upstream.client import Upstream

log = logging.getLogger("regulars.app")

GC_YOUNG_MAX: Final = 20_000
"""New objects between two looks for garbage cycles; Python's own 700 is a look per request."""

SETTLE_S: Final = 2.0
"""After the server's own drain: how long cut requests may take to hand over their rows."""
LEDGER_DRAIN_S: Final = 10.0
"""How long the store may take for the last rows; what is left then is spooled."""


def _calm_garbage_collection() -> None:
    """Look for cycles seldom: the request path makes almost none, and a look costs with the heap.

    What exists now (modules, catalog, routes) stays for ever and need not be looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_YOUNG_MAX, 20, 100)


class Life:
    """Start and end of one process's gateway."""

    def __init__(
        self,
        *,
        store: SqliteStore,
        upstream: Upstream,
        writer: LedgerWriter | NoLedger,
        relay: Relay,
        others: RoutingExchange | None,
        renames: Renames,
        sightings: SightingsKeeper,
        persons: Persons,
        reports: ReportRunner | None,
    ) -> None:
        self._store = store
        self._upstream = upstream
        self._writer = writer
        self._relay = relay
        self._others = others
        self._renames = renames
        self._sightings = sightings
        self._persons = persons
        self._reports = reports
        self._running = False

    def is_ready(self) -> bool:
        """Whether requests can be served and recorded."""
        return self._running and self._writer.has_room()

    @asynccontextmanager
    async def life(self, _app: Starlette) -> AsyncGenerator[None]:
        """Start the writer; at the end let requests, then rows, then connections finish."""
        self._writer.start()
        if self._others is not None:
            await self._others.start()
        self._renames.start()
        self._sightings.start()
        self._persons.start()
        _calm_garbage_collection()
        if self._reports is not None:
            self._reports.start()
        self._running = True
        try:
            yield
        finally:
            self._running = False
            await self._drain()
            # What is frozen is not freed at the end of the process: DuckDB complains of leaks.
            gc.unfreeze()

    async def _drain(self) -> None:
        if not await self._relay.wait_idle(SETTLE_S):
            log.warning("drain_cut requests=%d", self._relay.in_flight)
        if self._others is not None:
            await self._others.stop()
        if self._reports is not None:
            await asyncio.to_thread(self._reports.stop)
        await asyncio.to_thread(self._renames.stop)
        await asyncio.to_thread(self._sightings.stop)
        await asyncio.to_thread(self._persons.stop)
        left = await self._writer.drain(LEDGER_DRAIN_S)
        if left:
            log.error("drain_spooled rows=%d", left)
        self._writer.stop()
        await self._upstream.close()
        self._store.close()
