"""One generation, from acceptance to its one ledger row. Pure: times are arguments.

    accepted ──begin──▶ attempt ──succeed──▶ answered ─┐
        │                 │  ▲                         ├──finish──▶ ended (the row)
        │                 └──┴─ fail, begin again      │
        └──────────────── refused, cancelled ──────────┘

`finish` is called once, whatever happened; a second call is a mistake of ours and says so.
"""

from msgspec import Struct
from msgspec.structs import replace

from regulars.billing.charge import (
    Charge,
    charge,
    charge_all,
    insure,
    is_insured,
    service_price,
)
from regulars.billing.price import estimate, sane
from regulars.model.catalog import Endpoint
from regulars.model.errors import GatewayError, UpstreamStatusError
from regulars.model.generation import Attempt, Billed, Generation, Outcome, UsageSource
from regulars.model.money import ReportedCost
from regulars.model.tokens import Usage

CLIENT_LEFT_STATUS = 499
"""What the ledger shows as status of a request whose client left."""


class Accepted(Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a request when it is taken. `at_s` is the monotonic clock's time."""

    id: str
    created_at_us: int
    at_s: float
    account: str
    key_hash: str
    model: str
    streamed: bool
    prompt_bytes: int
    end_user: str | None
    session: str | None
    app: str | None
    referer: str | None
    user_agent: str | None
    service_tier: str | None = None
    """The one asked for."""


class Answer(Struct, frozen=True, gc=False):
    """What an upstream gave, wholly or until it was cut. `usage` None: it never said.

    `cost` is what it says it charged, `service_tier` the tier it says has served.
    """

    upstream_id: str | None
    usage: Usage | None
    finish_reason: str | None
    native_finish_reason: str | None
    content_bytes: int
    cost: ReportedCost | None = None
    service_tier: str | None = None
    counted_early: bool = False
    """`usage` was said before all of the answer had come, which broke off or was not counted."""


NO_TOKENS = Usage(0, 0)
UNCHARGED = Charge(None, None, None)
_ENDED_BY_UPSTREAM = (Outcome.COMPLETED, Outcome.FAILED)
NOTHING = Answer(None, None, None, None, 0)


class End(Struct, frozen=True, gc=False):
    """How a generation ended: the outcome, the status the client got, our error code."""

    outcome: Outcome
    status: int
    error: str | None = None


COMPLETED = End(Outcome.COMPLETED, 200)
CANCELLED = End(Outcome.CANCELLED, CLIENT_LEFT_STATUS)
INTERRUPTED = End(Outcome.INTERRUPTED, CLIENT_LEFT_STATUS, "interrupted")


def failed(error: GatewayError) -> End:
    """End with an error the client was told."""
    return End(Outcome.FAILED, error.status, error.code)


def refused(error: GatewayError) -> End:
    """End before any upstream was asked."""
    return End(Outcome.REFUSED, error.status, error.code)


def withheld(row: Generation, error: GatewayError) -> Generation:
    """Return the row of an answer whose client got an error in its place, at the last moment.

    What it cost stays: the upstream has charged it.
    """
    return replace(row, outcome=Outcome.FAILED, status=error.status, error=error.code)


class Exchange:
    """The state of one generation."""

    __slots__ = (
        "_attempt_at_s",
        "_attempts",
        "_billed",
        "_endpoint",
        "_reason",
        "_reckoned",
        "_status",
        "accepted",
        "content_at_s",
        "ended",
    )

    def __init__(self, accepted: Accepted) -> None:
        self.accepted = accepted
        self._attempts: list[Attempt] = []
        self._billed: list[Billed] = []
        self._endpoint: Endpoint | None = None
        self._reason = ""
        self._attempt_at_s = 0.0
        self._status: int | None = None
        self._reckoned: tuple[Usage | None, UsageSource | None] | None = None
        self.content_at_s: float | None = None
        """When the first content went to the client; None until then."""
        self.ended = False
        """Its row has been made; there is no second one."""

    @property
    def tried(self) -> list[str]:
        """Ids of the endpoints whose attempts failed."""
        return [attempt.endpoint for attempt in self._attempts]

    @property
    def has_content(self) -> bool:
        """Whether content went to the client, after which no other endpoint may be tried."""
        return self.content_at_s is not None

    def begin(self, endpoint: Endpoint, reason: str, now_s: float) -> None:
        """Start an attempt."""
        assert not self.has_content, "no second endpoint once content has left"
        self._endpoint = endpoint
        self._reason = reason
        self._attempt_at_s = now_s
        self._status = None

    def answered(self, status: int) -> None:
        """Note the attempt's HTTP status."""
        self._status = status

    def content(self, now_s: float) -> None:
        """Note that the first content goes to the client."""
        if self.content_at_s is None:
            self.content_at_s = now_s

    def pace(self, now_s: float) -> tuple[float | None, float]:
        """Tell how fast the attempt is: (time to first content, time of the answer), in seconds.

        A whole answer has no first content of its own.
        """
        content_at_s = self.content_at_s
        if not self.accepted.streamed or content_at_s is None:
            return None, now_s - self._attempt_at_s
        return content_at_s - self._attempt_at_s, now_s - content_at_s

    def fail(self, error: GatewayError, now_s: float) -> None:
        """End the attempt with an error."""
        if isinstance(error, UpstreamStatusError) and error.upstream_status is not None:
            self._status = error.upstream_status
        self._close_attempt(error.code, now_s)

    def pass_over(self, answer: Answer) -> None:
        """Keep what the failed attempt's upstream counted, before another endpoint is asked.

        The rules are those of a generation that ends so: what came to nothing is free, unless the
        upstream says that it charged for it.
        """
        usage = sane(answer.usage) if answer.usage is not None else None
        if usage is None:
            return
        charged = self._charge(Outcome.FAILED, answer, usage, UsageSource.REPORTED)
        bill = Billed(answer.upstream_id, usage, charged.cost, charged.source, charged.price)
        self._billed.append(bill)
        self._attempts[-1] = replace(self._attempts[-1], billed=bill)

    def finish(self, end: End, answer: Answer, now_s: float) -> Generation:
        """End the generation: its one row, priced.

        An upstream that was asked and never said what it counted is estimated from bytes, as
        far as there was an answer at all. Should counting or pricing raise, a mistake of ours, the
        generation has not ended: called again, `finish` makes its row of what was found by then.
        """
        assert not self.ended, f"generation {self.accepted.id} has already ended"
        if self._endpoint is not None and not self._attempt_closed():
            self._close_attempt(end.error, now_s)
        accepted, endpoint = self.accepted, self._endpoint
        charged = UNCHARGED
        if self._reckoned is None:
            self._reckoned = None, None
            self._reckoned = usage, source = self._usage(end, answer)
            charged = self._charge(end.outcome, answer, usage, source)
            if self._billed:
                charged = charge_all(None if usage is None else charged, self._billed)
                if usage is None and charged.cost is None:
                    # Somebody billed what nobody knows the price of: listed as such, never free.
                    self._reckoned = NO_TOKENS, UsageSource.ESTIMATED
        usage, source = self._reckoned
        content_at_s = self.content_at_s
        self.ended = True
        return Generation(
            id=accepted.id,
            created_at_us=accepted.created_at_us,
            account=accepted.account,
            key_hash=accepted.key_hash,
            outcome=end.outcome,
            status=end.status,
            model=accepted.model if endpoint is None else endpoint.model,
            streamed=accepted.streamed,
            end_user=accepted.end_user,
            session=accepted.session,
            provider=None if endpoint is None else endpoint.provider.name,
            endpoint=None if endpoint is None else endpoint.id,
            upstream_model=None if endpoint is None else endpoint.upstream_model,
            upstream_id=answer.upstream_id,
            finish_reason=answer.finish_reason,
            native_finish_reason=answer.native_finish_reason,
            usage=usage,
            usage_source=source,
            cost=charged.cost,
            cost_source=charged.source,
            price=charged.price,
            service_tier=answer.service_tier,
            ttft_ms=None if content_at_s is None else _ms(content_at_s - accepted.at_s),
            duration_ms=_ms(now_s - accepted.at_s),
            error=end.error,
            app=accepted.app,
            referer=accepted.referer,
            user_agent=accepted.user_agent,
            attempts=tuple(self._attempts),
        )

    def _usage(self, end: End, answer: Answer) -> tuple[Usage | None, UsageSource | None]:
        if answer.usage is not None and not answer.counted_early:
            return sane(answer.usage), UsageSource.REPORTED
        if self._endpoint is None or end.outcome is Outcome.REFUSED:
            return None, None
        # A failure before any content was not billed by anybody we know of; a cut stream was.
        if end.outcome is Outcome.FAILED and not self.has_content:
            return None, None
        estimated = estimate(self.accepted.prompt_bytes, answer.content_bytes)
        if answer.usage is not None:
            said = sane(answer.usage)
            completion = max(said.completion_tokens, estimated.completion_tokens)
            estimated = replace(said, completion_tokens=completion)
        return estimated, UsageSource.ESTIMATED

    def _charge(
        self, outcome: Outcome, answer: Answer, usage: Usage | None, source: UsageSource | None
    ) -> Charge:
        """Price what was used. Answers that came to nothing are free; what a client cut was not."""
        if usage is None or source is None or self._endpoint is None:
            return UNCHARGED
        price, asked = self._endpoint.price, self.accepted.service_tier
        if price is not None and (asked is not None or answer.service_tier is not None):
            price = service_price(price, served=answer.service_tier, asked=asked)
        charged = charge(
            usage,
            price,
            usage_source=source,
            at_us=self.accepted.created_at_us,
            reported=None if answer.counted_early else answer.cost,
        )
        if outcome in _ENDED_BY_UPSTREAM and is_insured(usage, answer.finish_reason):
            return insure(charged)
        return charged

    def _attempt_closed(self) -> bool:
        return self._reason == ""

    def _close_attempt(self, error: str | None, now_s: float) -> None:
        endpoint = self._endpoint
        assert endpoint is not None, "an attempt ends that never began"
        self._attempts.append(
            Attempt(
                endpoint=endpoint.id,
                provider=endpoint.provider.name,
                reason=self._reason,
                status=self._status,
                error=error,
                started_ms=_ms(self._attempt_at_s - self.accepted.at_s),
                duration_ms=_ms(now_s - self._attempt_at_s),
            )
        )
        self._reason = ""


def _ms(seconds: float) -> float:
    # Whole microseconds; round() with digits takes four times as long.
    return int(seconds * 1_000_000 + 0.5) / 1000
