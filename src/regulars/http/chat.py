"""POST /chat/completions: read the request, find out who and what, hand it to the relay."""

import random
import time

from msgspec import Struct

from regulars.config.settings import ServerSettings
from regulars.exchange.exchange import Accepted
from regulars.gateway.client import ClientGoneError
from regulars.gateway.relay import Call, Relay
from regulars.http.asgi import Receive, Scope, Send
from regulars.http.auth import Authenticator, require_inference
from regulars.http.body import behind_body, take_body
from regulars.http.errors import send_error
from regulars.http.head import HEAD, Head, read_head
from regulars.http.peer import Peers
from regulars.http.reply import Reply
from regulars.http.server import BODY, CONNECTION, CYCLE
from regulars.http.wanted import WantedReader
from regulars.ledger.sightings import SightingsKeeper
from regulars.model.caller import ApiKey
from regulars.model.errors import GatewayError
from regulars.model.ids import GENERATION_RANDOM_BITS, generation_id
from regulars.wire.chat import ChatRequest, parse_chat, service_tier


class _Arrival(Struct, frozen=True, gc=False):
    id: str
    created_at_us: int
    at_s: float


class ChatRoute:
    """The ASGI callable in front of the relay."""

    def __init__(
        self,
        settings: ServerSettings,
        *,
        auth: Authenticator,
        wanted: WantedReader,
        relay: Relay,
        sightings: SightingsKeeper | None = None,
        peers: Peers | None = None,
    ) -> None:
        """Without `sightings` nobody notices where ids are used."""
        self._body_limit_bytes = settings.body_limit_bytes
        self._auth = auth
        self._wanted = wanted
        self._relay = relay
        self._sightings = sightings
        self._peers = Peers(()) if peers is None else peers
        # Seeded by the system in each process. Ids need to differ, not to be secret.
        self._random_bits = random.Random().getrandbits  # noqa: S311

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request; every error becomes OpenRouter's error object."""
        at_s, created_at_us = time.monotonic(), time.time_ns() // 1000
        chosen_id = generation_id(created_at_us, self._random_bits(GENERATION_RANDOM_BITS))
        arrival = _Arrival(chosen_id, created_at_us, at_s)
        # Taken out: a scope that holds what holds it waits for the garbage collector.
        connection, cycle = scope.pop(CONNECTION), scope.pop(CYCLE)
        body = scope.pop(BODY, None)
        try:
            head: Head | None = scope.get(HEAD)
            if head is None:
                head = read_head(scope, self._peers)
            key = self._auth.known(head.digest)
            if key is None:
                key = await self._auth.caller(head.headers.get(b"authorization"))
            require_inference(key)
            self._relay.admit(key.hash)
            try:
                if body is None:
                    body = await take_body(connection, cycle, head.headers, self._body_limit_bytes)
                    # Only now: a head that is refused is to be judged again.
                    scope[HEAD] = head
                    connection.repeats(scope, self)
                call = self._call(arrival, key, parse_chat(body), head)
                user = call.accepted.end_user
                if self._sightings is not None and user is not None and head.address is not None:
                    self._sightings.saw(key.account, user, head.address)
                await self._relay.chat(call, Reply(connection, cycle))
            finally:
                self._relay.release(key.hash)
        except GatewayError as error:
            send = behind_body(send, connection, cycle)
            await send_error(send, error, [(b"x-generation-id", chosen_id.encode())])
        except ClientGoneError:
            return  # left before the request was whole: nothing was accepted
        finally:
            connection.on_gone = None

    def _call(self, arrival: "_Arrival", key: ApiKey, request: ChatRequest, head: Head) -> Call:
        wanted = self._wanted.read(request, key, head.headers)
        accepted = Accepted(
            id=arrival.id,
            created_at_us=arrival.created_at_us,
            at_s=arrival.at_s,
            account=key.account,
            key_hash=key.hash,
            model=request.model,
            streamed=request.stream,
            prompt_bytes=request.body_bytes,
            end_user=wanted.end_user,
            session=wanted.session,
            app=head.app,
            referer=head.referer,
            user_agent=head.user_agent,
            service_tier=service_tier(request) if "service_tier" in request.fields else None,
        )
        return Call(
            accepted,
            request,
            wanted.candidates,
            wanted.cold_reason,
            wants_metadata=head.wants_metadata,
            terms=key.terms,
        )
