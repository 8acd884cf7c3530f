"""Spend limits: what keys with a limit have spent, in memory, so that a request waits for no store.

A key's figure is what the ledger knew when it was last read, plus what this process has recorded
since. It is read at the key's first request and again every REREAD_S while the key is used, in
a thread: so it hears of other processes' rows, too. A request that is in flight when a limit is
reached is served to its end. So a limit is overshot by the requests in flight then (of which
`in_flight_per_key_max` is the bound), and with several workers by what the others spend in
REREAD_S.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from datetime import UTC, datetime
from functools import partial
from typing import Final

from regulars.billing.limit_window import window_begin, window_end
from regulars.exchange.exchange import Accepted
from regulars.model.caller import KeyTerms
from regulars.model.errors import PaymentRequiredError, UnavailableError
from regulars.model.generation import Generation
from regulars.model.money import usd_text
from regulars.stores.base import StoreError
from regulars.stores.spendings import Spendings, Spent

REREAD_S: Final = 5.0
REREAD_SHARE: Final = 50
"""A reading that takes long is repeated after so many times its duration: at most 2 % of a core."""
KEYS_MAX: Final = 10_000
"""Keys with a limit that are remembered; the one used longest ago is read anew."""
FOREVER_S: Final = float("inf")

log = logging.getLogger("regulars.spending")


class _Account:
    """What one key has spent in the window of its limit."""

    __slots__ = ("begin_us", "end_s", "fresh", "read_due_s", "reading", "since", "spent", "terms")

    def __init__(self, terms: KeyTerms, now: datetime) -> None:
        self.terms = terms
        reset = terms.limit_reset
        self.begin_us: int | None = None
        self.end_s = FOREVER_S
        if reset is not None:
            self.begin_us = int(window_begin(reset, now).timestamp()) * 1_000_000
            self.end_s = window_end(reset, now).timestamp()
        self.spent: int | None = None
        """As the ledger knew it; None: not read yet."""
        self.since = 0
        """Recorded here and perhaps not in `spent`."""
        self.fresh = 0
        """Of it, since the present reading began."""
        self.read_due_s = 0.0
        self.reading: asyncio.Future[Spent] | None = None


class Spending:
    """Says whether a key may spend more. One per process; belongs to the event loop."""

    def __init__(self, ledger: Spendings, *, recording: bool = True) -> None:
        self._ledger = ledger
        self._recording = recording
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    async def admit(self, accepted: Accepted, terms: KeyTerms) -> None:
        """Let a request of a key with a limit through.

        Raises:
            PaymentRequiredError: the limit is spent.
            UnavailableError: what was spent is not known, since the store cannot be asked.
        """
        limit = terms.limit_nanousd
        assert limit is not None, "a key without a limit is not asked about"
        account = self._account(accepted.key_hash, terms)
        if account.reading is None and time.monotonic() >= account.read_due_s:
            self._read(account, accepted)
        if account.spent is None:
            await self._first(account)
        assert account.spent is not None
        if account.spent + account.since >= limit:
            raise _refusal(terms, account)

    def record(self, row: Generation) -> None:
        """Count a row of a key with a limit, once it is in the ledger's hands."""
        account = self._accounts.get(row.key_hash)
        if account is None or row.cost is None:
            return
        if account.begin_us is not None and row.created_at_us < account.begin_us:
            return  # of the window before
        cost = row.cost
        counted = Spent(cost.total, cost.byok or 0).counted(account.terms)
        account.since += counted
        account.fresh += counted

    def _account(self, key_hash: str, terms: KeyTerms) -> _Account:
        account = self._accounts.get(key_hash)
        if account is None or time.time() >= account.end_s or not _is_same(account.terms, terms):
            account = self._accounts[key_hash] = _Account(terms, datetime.now(UTC))
            if len(self._accounts) > KEYS_MAX:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(key_hash)
        return account

    def _read(self, account: _Account, accepted: Accepted) -> None:
        account.fresh = 0
        reading = asyncio.get_running_loop().run_in_executor(
            None,
            self._ledger.spent_since,
            accepted.account,
            accepted.key_hash,
            account.begin_us,
        )
        account.reading = reading
        reading.add_done_callback(partial(self._learn, account, time.monotonic()))

    def _learn(self, account: _Account, began_s: float, reading: "asyncio.Future[Spent]") -> None:
        account.reading = None
        now_s = time.monotonic()
        account.read_due_s = now_s + max(REREAD_S, REREAD_SHARE * (now_s - began_s))
        if reading.cancelled():
            return
        error = reading.exception()
        if error is None:
            account.spent, account.since = reading.result().counted(account.terms), account.fresh
            if not self._recording:  # the ledger will never know more
                account.read_due_s = FOREVER_S
        elif isinstance(error, StoreError):
            log.warning("spending_unreadable reason=%r", str(error))
        else:
            log.error("spending_mistake", exc_info=error)
        if account.spent is None:
            account.read_due_s = 0.0  # the next request tries again

    async def _first(self, account: _Account) -> None:
        reading = account.reading
        if reading is not None:
            # Shared by all who wait; it ends within the store's own bound.
            await asyncio.wait([reading])
        if account.spent is None:
            raise UnavailableError(
                "what this API key has spent of its limit cannot be read now; try again shortly",
                retry_after_s=2.0,
            )


def _is_same(one: KeyTerms, other: KeyTerms) -> bool:
    """Say whether the same spending counts, whatever the limits."""
    return one is other or (
        one.limit_reset is other.limit_reset
        and one.include_byok_in_limit is other.include_byok_in_limit
    )


def _refusal(terms: KeyTerms, account: _Account) -> PaymentRequiredError:
    assert terms.limit_nanousd is not None
    limit = f"{usd_text(terms.limit_nanousd)} USD"
    if terms.limit_reset is None:
        return PaymentRequiredError(
            f"this API key has spent its limit of {limit}; raise it with a management key"
        )
    anew = datetime.fromtimestamp(account.end_s, UTC)
    return PaymentRequiredError(
        f"this API key has spent its {terms.limit_reset} limit of {limit}, which begins anew at "
        f"{anew:%Y-%m-%d %H:%M} UTC; wait, or raise it with a management key"
    )
