"""In the writer's place where `[ledger] enabled` is false: it takes every row and keeps none."""

import asyncio
import logging

from regulars.exchange.exchange import Accepted
from regulars.ledger.contents import Transcript
from regulars.ledger.writer import LedgerWriter
from regulars.model.catalog import Endpoint
from regulars.model.generation import Generation

log = logging.getLogger("regulars.ledger")


class NoLedger:
    """Does nothing at once, in all that the gateway asks of `LedgerWriter`.

    What is kept from before goes on being looked after by `keeper`, a writer without rows: what is
    too old is deleted, and what earlier processes left in files is brought in.
    """

    waiting = late = spooled = unwritable = commits = committed = 0
    is_store_away = False

    def __init__(self, keeper: LedgerWriter) -> None:
        self._keeper = keeper
        self._settled: asyncio.Future[bool] | None = None

    def start(self) -> None:
        """Say loudly that nothing is recorded."""
        self._settled = asyncio.get_running_loop().create_future()
        self._settled.set_result(True)
        log.warning(
            "ledger_off reason='[ledger] enabled is false' effect='no request is recorded: "
            "no activity, no cost, no generation to look up'"
        )
        self._keeper.start()

    def has_room(self) -> bool:
        """Say yes: nothing waits."""
        return True

    def started(self, accepted: Accepted, endpoint: Endpoint) -> None:
        """Let it go by."""

    def correct(self, row: Generation) -> None:
        """Let it go by."""

    def settle(self, row: Generation) -> asyncio.Future[bool]:  # noqa: ARG002 - the writer's
        """Let it go by; True at once, since nobody may be made to wait for it."""
        assert self._settled is not None, "start() comes first"
        return self._settled

    def keep_content(self, row: Generation, transcript: Transcript, *, durable: bool) -> None:
        """Let it go by."""

    async def drain(self, timeout_s: float) -> int:  # noqa: ARG002 - likewise
        """Find nothing left."""
        return 0

    def stop(self) -> None:
        """End the keeper's threads."""
        self._keeper.stop()
