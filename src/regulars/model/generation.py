"""The value the product is about: one client request and its one ledger row."""

import hashlib
from enum import StrEnum

from msgspec import Struct

from regulars.model.money import Cost
from regulars.model.tokens import Usage

VERSION_BYTES = 6
"""Of a price's short name: operators have dozens of prices, not millions."""


class Outcome(StrEnum):
    """How a generation ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"


class UsageSource(StrEnum):
    """Where the token counts come from."""

    REPORTED = "reported"
    ESTIMATED = "estimated"


class CostSource(StrEnum):
    """How a cost was found."""

    COMPUTED = "computed"
    """Reported tokens x price."""
    ESTIMATED = "estimated"
    """Estimated tokens x price."""
    REPORTED = "reported"
    """The upstream said what it charged."""
    INSURED = "insured"
    """Free: the answer came to nothing."""


class Billed(Struct, frozen=True, gc=False):
    """What an upstream counted, and so perhaps charged, for an attempt that was passed over.

    `cost` is None where no price is known. Another endpoint served the request after all.
    """

    upstream_id: str | None
    usage: Usage
    cost: Cost | None
    cost_source: CostSource | None
    price: str | None


class Attempt(Struct, frozen=True, gc=False):
    """One call of one endpoint inside a generation.

    `status` is the upstream's HTTP status, None when none came; `error` is one of our error
    codes, None on success; times are milliseconds, `started_ms` since the request was accepted.
    """

    endpoint: str
    provider: str
    reason: str
    status: int | None
    error: str | None
    started_ms: float
    duration_ms: float
    billed: Billed | None = None
    """Of an attempt before the last; what the last one used is the generation's own."""


class Generation(Struct, frozen=True, kw_only=True, gc=False):
    """One row of the ledger.

    `created_at_us` is when the request was accepted, in microseconds since 1970 (UTC).
    `provider`, `endpoint` and `upstream_model` name the last endpoint tried, None when none
    was. `usage` is what the last attempt used. `cost` is all the money spent: the last attempt's
    and what passed-over ones billed; None when a price of it is not known or nothing was used. `price` is the price in force
    for this request, in words (`billing.price`), so that a row explains its cost by itself
    whatever the price is later. `service_tier` is the tier that served. `ttft_ms` counts from
    acceptance to the first content handed to the client, `duration_ms` to the end.
    """

    id: str
    created_at_us: int
    account: str
    key_hash: str
    outcome: Outcome
    status: int
    model: str
    streamed: bool
    end_user: str | None = None
    session: str | None = None
    provider: str | None = None
    endpoint: str | None = None
    upstream_model: str | None = None
    upstream_id: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    usage: Usage | None = None
    usage_source: UsageSource | None = None
    cost: Cost | None = None
    cost_source: CostSource | None = None
    price: str | None = None
    service_tier: str | None = None
    ttft_ms: float | None = None
    duration_ms: float = 0.0
    error: str | None = None
    app: str | None = None
    referer: str | None = None
    user_agent: str | None = None
    attempts: tuple[Attempt, ...] = ()

    @property
    def billed_before(self) -> tuple[Cost, ...]:
        """What passed-over attempts cost, as far as it is known: parts of `cost`."""
        if len(self.attempts) < 2:
            return ()
        bills = [attempt.billed for attempt in self.attempts]
        return tuple(bill.cost for bill in bills if bill is not None and bill.cost is not None)

    @property
    def price_status(self) -> str:
        """`priced`, or `unknown` where usage is known but its price is not."""
        return "unknown" if self.cost is None and self.usage is not None else "priced"

    @property
    def price_version(self) -> str | None:
        """A short name of the price: the same for the same price, another for any other."""
        if self.price is None:
            return None
        return hashlib.blake2b(self.price.encode(), digest_size=VERSION_BYTES).hexdigest()
