"""Conducts one generation: choose, ask, pass on, settle. Read `Relay.chat` from top to bottom.

Every path ends in `_settle`, and so in exactly one ledger row. It runs in the request's own
task, which the server does not end when the client leaves.
"""

import asyncio
import logging
import time
from collections.abc import Mapping

from msgspec import Struct

from regulars.config.settings import Settings
from regulars.exchange.exchange import (
    CANCELLED,
    COMPLETED,
    INTERRUPTED,
    NOTHING,
    Accepted,
    Answer,
    End,
    Exchange,
    failed,
    refused,
    withheld,
)
from regulars.gateway.client import Client, ClientGoneError
from regulars.gateway.metadata import openrouter_metadata
from regulars.gateway.passage import Passage
from regulars.gateway.quiet import QuietTimer
from regulars.gateway.routes import EndpointRoute
from regulars.gateway.sharing import RoutingExchange
from regulars.gateway.spending import Spending
from regulars.gateway.upstream_answer import failure, read_all, said
from regulars.ledger import LedgerWriter, NoLedger
from regulars.ledger.contents import ContentKeeper, Transcript
from regulars.model.caller import UNLIMITED, KeyTerms
from regulars.model.errors import (
    CallerError,
    GatewayError,
    InternalError,
    UnavailableError,
    UnrecordedError,
    UpstreamClosedError,
    UpstreamError,
)
from regulars.model.generation import Generation, Outcome
from regulars.providers.openai.stream import StreamReader
from regulars.providers.openai.whole import read_failed, read_whole
from regulars.routing.plan import Candidate, Plan, Planner
from regulars.routing.warmhrw import Choice
from regulars.upstream.client import Response, Upstream
from regulars.wire.answers import Label, error_frame, usage_frame, usage_json
from regulars.wire.chat import ChatRequest
from regulars.wire.sse import DONE, KEEPALIVE

log = logging.getLogger("regulars.relay")


class Call(Struct, frozen=True):
    """One accepted chat request with all that was found out about it."""

    accepted: Accepted
    request: ChatRequest
    candidates: tuple[Candidate, ...]
    """The model asked for, then its fallbacks."""
    cold_reason: str | None = None
    """Why warmth does not count for this request, None when it does."""
    wants_metadata: bool = False
    terms: KeyTerms = UNLIMITED
    """Of the caller's key."""


class _Conduct(Struct):
    """What one generation's steps hand to each other."""

    call: Call
    client: Client
    exchange: Exchange
    response: Response | None = None
    choice: Choice | None = None
    label: Label | None = None
    answer: Answer = NOTHING
    plan: Plan | None = None
    row: Generation | None = None
    transcript: Transcript | None = None
    """What is said, where it is to be kept."""


class Relay:
    """Takes calls to upstreams and back. One per process."""

    def __init__(
        self,
        settings: Settings,
        *,
        upstream: Upstream,
        routes: Mapping[str, EndpointRoute],
        planner: Planner,
        writer: LedgerWriter | NoLedger,
        spending: Spending,
        contents: ContentKeeper,
        others: RoutingExchange | None = None,
    ) -> None:
        self._keepalive_s = settings.server.keepalive_comment_s
        self._in_flight_max = settings.server.in_flight_max
        self._in_flight_per_key_max = settings.server.in_flight_per_key_max
        self._rows_max = settings.ledger.queue_rows_max
        self._refuse_late = settings.ledger.when_late == "refuse"
        self._attempts_time_s = settings.upstream.attempts_time_s
        self._upstream = upstream
        self._routes = routes
        self._planner = planner
        self._writer = writer
        self._spending = spending
        self._contents = contents
        self._others = others
        self.in_flight = 0
        self._in_flight_of: dict[str, int] = {}
        self._idle: asyncio.Event | None = None

    def admit(self, key_hash: str) -> None:
        """Take a request in before its body is read; `release` follows, whatever happens.

        Raises:
            UnavailableError: it cannot be served or recorded now: too many requests are in
                flight, in all or of this API key, or too many rows wait for the store.
        """
        if self.in_flight >= self._in_flight_max:
            raise UnavailableError(
                f"{self.in_flight} requests are in flight, as many as [server] in_flight_max "
                "allows; try again shortly",
                retry_after_s=1.0,
            )
        if self._writer.waiting + self.in_flight >= self._rows_max:
            raise UnavailableError(
                "the ledger's store is away and its queue is full; try again shortly",
                retry_after_s=5.0,
            )
        of_key = self._in_flight_of.get(key_hash, 0)
        if of_key >= self._in_flight_per_key_max:
            raise UnavailableError(
                f"{of_key} requests of this API key are in flight, as many as [server] "
                "in_flight_per_key_max allows; try again shortly",
                retry_after_s=1.0,
            )
        self._in_flight_of[key_hash] = of_key + 1
        self.in_flight += 1

    def release(self, key_hash: str) -> None:
        """Stop counting a request that was admitted."""
        of_key = self._in_flight_of[key_hash] - 1
        if of_key:
            self._in_flight_of[key_hash] = of_key
        else:
            del self._in_flight_of[key_hash]
        self.in_flight -= 1
        if self._idle is not None and not self.in_flight:
            self._idle.set()

    async def chat(self, call: Call, client: Client) -> None:
        """Serve one call to its end.

        Raises:
            GatewayError: it failed and nothing has been sent: the answer is still to be written.
        """
        conduct = _Conduct(call, client, Exchange(call.accepted))
        client.on_gone(lambda: _cancel(conduct))
        try:
            try:
                await self._serve(conduct)
            except ClientGoneError:
                await self._settle(conduct, CANCELLED)
            except GatewayError as error:
                end = failed(error) if conduct.exchange.tried else refused(error)
                await self._close(conduct, end, error)
            except asyncio.CancelledError:
                # Only the end of a drain cancels us. The client is told, as far as there is time.
                error = UnavailableError("the gateway is stopping; send the request again")
                await self._close(conduct, INTERRUPTED, error)
        except GatewayError:
            raise
        except Exception:
            # The top of the request's task: even a mistake of ours, settling included, leaves a row.
            log.exception("relay_mistake generation_id=%s", call.accepted.id)
            error = InternalError("the gateway made a mistake; its log tells more by this id")
            await self._close(conduct, failed(error), error)
        finally:
            if conduct.response is not None:
                conduct.response.close()

    async def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; False when the time is up first."""
        if not self.in_flight:
            return True
        self._idle = asyncio.Event()
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    async def _close(self, conduct: _Conduct, end: End, error: GatewayError) -> None:
        """Settle what went wrong and tell the client, in the form that is still open."""
        if not conduct.exchange.ended:
            await self._settle(conduct, end)
        elif conduct.row is not None and isinstance(error, InternalError):
            # Its row is queued, or kept: it is to say what the client got.
            conduct.row = withheld(conduct.row, error)
            self._writer.correct(conduct.row)
        if conduct.call.wants_metadata and conduct.row is not None and error.status != 500:
            error.routing = _metadata(conduct, conduct.row)
        if conduct.client.started:
            conduct.client.end(_error_frames(conduct, error))
            return
        try:
            raise error
        finally:
            del error  # as in `_serve`

    async def _serve(self, conduct: _Conduct) -> None:
        """Try endpoints in the router's order until one answers."""
        call, exchange = conduct.call, conduct.exchange
        last: UpstreamError | None = None
        if call.terms.limit_nanousd is not None:
            await self._spending.admit(call.accepted, call.terms)
        if call.terms.content_share:
            messages = call.request.fields["messages"]
            conduct.transcript = self._contents.listen(messages, call.terms.content_share)
        if self._others is not None and call.cold_reason is None:
            await self._others.learn(call.request, call.candidates)
        now_s = time.monotonic()
        plan = self._planner.plan(
            call.request, call.candidates, now_s=now_s, reason=call.cold_reason
        )
        conduct.plan = plan
        while choice := self._planner.next(plan, exchange.tried, now_s):
            conduct.choice = choice
            if conduct.answer is not NOTHING:  # of an attempt that failed
                exchange.pass_over(conduct.answer)
                conduct.answer = NOTHING
            exchange.begin(choice.endpoint, choice.reason, now_s)
            self._writer.started(call.accepted, choice.endpoint)
            try:
                if call.request.stream:
                    await self._stream(conduct, choice)
                else:
                    await self._whole(conduct, choice)
            except CallerError:  # seen only while its body was written: nothing was sent
                self._planner.left(choice, time.monotonic())
                raise
            except UpstreamError as error:
                last = error
                self._give_up(conduct, choice, error)
                now_s = time.monotonic()
                if exchange.has_content or now_s - call.accepted.at_s > self._attempts_time_s:
                    break
                if not error.retryable:  # another endpoint would say the same, not another model
                    plan = plan.past(choice.endpoint.model)
            else:
                last = None
                return
        try:
            raise last or UnavailableError(f"model {call.accepted.model!r} has no endpoint to try")
        finally:
            last = None  # by its traceback it holds this frame: a garbage cycle

    async def _whole(self, conduct: _Conduct, choice: Choice) -> None:
        response = await self._ask(conduct, choice)
        await response.head()
        conduct.exchange.answered(response.status)
        # Most come with their head: then there is nothing to wait for.
        body = response.whole() or await read_all(response)
        provider = choice.endpoint.provider.name
        if response.status != 200:
            conduct.answer = said(read_failed(body))
            raise failure(provider, response, body)
        try:
            answer = read_whole(provider, body)
        except UpstreamError:
            conduct.answer = said(read_failed(body))
            raise
        response.close()
        conduct.answer = said(answer)
        conduct.exchange.content(time.monotonic())
        if conduct.transcript is not None:
            conduct.transcript.hear_whole(answer.fields["choices"])
        row = await self._settle(conduct, COMPLETED)
        assert row.usage is not None, "a completed generation has usage, if only an estimate"
        label = _label(conduct.call, choice)
        body = answer.render(label, usage_json(row.usage, row.cost))
        if conduct.call.wants_metadata:
            body = body[:-1] + _metadata_part(conduct, row) + b"}"
        conduct.client.whole(row.id, body)

    async def _stream(self, conduct: _Conduct, choice: Choice) -> None:
        client, exchange = conduct.client, conduct.exchange
        generation_id = exchange.accepted.id
        label = _label(conduct.call, choice)
        reader = StreamReader(label)
        if conduct.transcript is not None:
            conduct.transcript.begin()
        passage = Passage(reader, client, exchange, conduct.transcript)
        response = await self._ask(conduct, choice)
        quiet = QuietTimer(self._keepalive_s)
        quiet.waiting_for = response
        try:
            while not await response.head():
                client.frames(generation_id, KEEPALIVE)
            exchange.answered(response.status)
            if response.status != 200:
                body = await read_all(response)
                conduct.answer = said(read_failed(body))
                raise failure(choice.endpoint.provider.name, response, body)
            while not await response.pump(passage) and not reader.done:
                if reader.error is not None:
                    raise reader.error
                if client.is_full:
                    await client.drain()
                elif quiet.rang():
                    client.frames(generation_id, KEEPALIVE)
            await self._end_stream(conduct, reader)
        finally:
            quiet.stop()
            conduct.label = reader.label
            if response.status == 200:
                conduct.answer = said(reader)
            reader.error = None  # once raised it holds this frame, and this frame the reader

    async def _end_stream(self, conduct: _Conduct, reader: StreamReader) -> None:
        rest = reader.end()
        if conduct.transcript is not None:
            conduct.transcript.hear(rest)
        if reader.error is not None:
            raise reader.error
        if not reader.done and reader.finish_reason is None:
            what = (
                "ended its stream in the middle" if reader.chunks else "answered 200 with no stream"
            )
            raise UpstreamClosedError(f"{reader.label.provider} {what}")
        conduct.answer = said(reader)
        conduct.exchange.content(time.monotonic())
        row = await self._settle(conduct, COMPLETED)
        usage = None if row.usage is None else usage_json(row.usage, row.cost)
        last = b"".join(
            (rest, usage_frame(reader.label, usage, _metadata_part(conduct, row)), DONE)
        )
        if conduct.client.started:
            conduct.client.end(last)
        else:  # a stream without a single frame of content
            conduct.client.frames(row.id, last)
            conduct.client.end(b"")

    async def _ask(self, conduct: _Conduct, choice: Choice) -> Response:
        route = self._routes[choice.endpoint.id]
        if conduct.client.gone:
            raise ClientGoneError
        response = await self._upstream.send(
            route.upstream, route.body(conduct.call.request, conduct.call.accepted)
        )
        conduct.response = response
        if conduct.client.gone:  # left while we connected, when there was nothing to cancel yet
            raise ClientGoneError
        return response

    def _give_up(self, conduct: _Conduct, choice: Choice, error: UpstreamError) -> None:
        now_s = time.monotonic()
        conduct.exchange.fail(error, now_s)
        self._planner.failed(choice, error, now_s)
        if self._others is not None:
            self._others.changed()
        if conduct.response is not None:
            conduct.response.close()
            conduct.response = None
        log.warning(
            "attempt_failed generation_id=%s endpoint=%s code=%s message=%r",
            conduct.call.accepted.id,
            choice.endpoint.id,
            error.code,
            error.message,
        )

    async def _settle(self, conduct: _Conduct, end: End) -> Generation:
        """Make the row and wait, within the configured bound, until it is durable."""
        now_s = time.monotonic()
        row = conduct.row = conduct.exchange.finish(end, conduct.answer, now_s)
        # Queued before anything else is done with it: whatever fails below, the row is kept.
        settled = self._writer.settle(row)
        self._learn(conduct, end, row, now_s)
        durable = await settled
        if conduct.call.terms.limit_nanousd is not None:
            self._spending.record(row)
        if conduct.transcript is not None:
            self._writer.keep_content(row, conduct.transcript, durable=durable)
            conduct.transcript = None
        if not durable and end is COMPLETED and self._refuse_late:
            error = UnrecordedError(
                "the answer could not be recorded in time, and [ledger] when_late is refuse",
                retry_after_s=5.0,
            )
            conduct.row = withheld(row, error)
            self._writer.correct(conduct.row)
            raise error
        return row

    def _learn(self, conduct: _Conduct, end: End, row: Generation, now_s: float) -> None:
        """Tell the router how the last attempt ended."""
        choice = conduct.choice
        if choice is None:
            return
        if end is COMPLETED and row.usage is not None:
            ttft_s, spent_s = conduct.exchange.pace(now_s)
            self._planner.answered(choice, row.usage, now_s, ttft_s=ttft_s, spent_s=spent_s)
            if self._others is not None and choice.reason != "warm-session":
                self._others.changed()
        elif end is CANCELLED or end is INTERRUPTED or end.outcome is Outcome.REFUSED:
            self._planner.left(choice, now_s)


def _cancel(conduct: _Conduct) -> None:
    if conduct.response is not None:
        conduct.response.cancel(ClientGoneError())


def _metadata_part(conduct: _Conduct, row: Generation) -> bytes:
    """Write the answer's own key for how it was routed, nothing where nobody asked."""
    if not conduct.call.wants_metadata:
        return b""
    return b',"openrouter_metadata":' + _metadata(conduct, row)


def _metadata(conduct: _Conduct, row: Generation) -> bytes:
    call = conduct.call
    return openrouter_metadata(call.request, call.candidates, conduct.plan, row)


def _label(call: Call, choice: Choice) -> Label:
    accepted = call.accepted
    return Label(
        id=accepted.id,
        created=accepted.created_at_us // 1_000_000,
        model=choice.endpoint.model,
        provider=choice.endpoint.provider.name,
    )


def _error_frames(conduct: _Conduct, error: GatewayError) -> bytes:
    label = conduct.label
    if label is None:  # only comments have gone out
        accepted = conduct.call.accepted
        created = accepted.created_at_us // 1_000_000
        label = Label(accepted.id, created, accepted.model, "")
    return error_frame(
        label,
        status=error.status,
        code=error.code,
        message=error.message,
        metadata=error.routing,
    )
