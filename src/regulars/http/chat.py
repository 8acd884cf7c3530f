"""POST /chat/completions: read the request, find out who and what, hand it to the relay."""

import random
import time
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from regulars.config.settings import ServerSettings
from regulars.exchange.exchange import Accepted
from regulars.gateway.client import ClientGoneError
from regulars.gateway.relay import Call, Relay
from regulars.http.asgi import Receive, Scope, Send
from regulars.http.auth import Authenticator, require_inference
from regulars.http.body import read_body
from regulars.http.errors import send_error
from regulars.http.reply import Reply
from regulars.http.server import CONNECTION, CYCLE
from regulars.identity.name import SESSION_LENGTH_MAX, USER_LENGTH_MAX, accept_name
from regulars.model.caller import ApiKey
from regulars.model.catalog import Catalog
from regulars.model.errors import CallerError, GatewayError, MethodNotAllowedError
from regulars.model.ids import GENERATION_RANDOM_BITS, generation_id
from regulars.routing.keys import StickyKeys
from regulars.routing.plan import Candidate
from regulars.routing.stickiness import HARNESS_HEADERS, sticky_keys
from regulars.routing.wishes import split_suffix
from regulars.wire.chat import ChatRequest, parse_chat

LABEL_CHARS_MAX: Final = 256
STICKY_HEADER: Final = b"x-regulars-sticky"
"""`off` opts one request out of stickiness: it goes where load is least, and leaves no trace."""
_SESSION_HEADERS: Final = (b"x-session-id", *HARNESS_HEADERS)


class _Arrival(Struct, frozen=True, gc=False):
    id: str
    created_at_us: int
    at_s: float


class ChatRoute:
    """The ASGI callable in front of the relay."""

    def __init__(
        self, settings: ServerSettings, *, auth: Authenticator, catalog: Catalog, relay: Relay
    ) -> None:
        self._body_limit_bytes = settings.body_limit_bytes
        self._auth = auth
        self._models = catalog.models
        self._relay = relay
        # Seeded by the system in each process. Ids need to differ, not to be secret.
        self._random_bits = random.Random().getrandbits  # noqa: S311

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every error becomes OpenRouter's error object."""
        at_s, created_at_us = time.monotonic(), time.time_ns() // 1000
        chosen_id = generation_id(created_at_us, self._random_bits(GENERATION_RANDOM_BITS))
        arrival = _Arrival(chosen_id, created_at_us, at_s)
        connection = scope[CONNECTION]
        try:
            if scope["method"] != "POST":
                raise MethodNotAllowedError(f"method {scope['method']}: use POST here")
            headers = dict(scope["headers"])
            key = await self._auth.caller(headers.get(b"authorization"))
            require_inference(key)
            self._relay.admit(key.hash)
            try:
                body = await read_body(receive, headers, self._body_limit_bytes)
                call = self._call(arrival, key, parse_chat(body), headers)
                await self._relay.chat(call, Reply(connection, scope[CYCLE]))
            finally:
                self._relay.release(key.hash)
        except GatewayError as error:
            await send_error(send, error, [(b"x-generation-id", chosen_id.encode())])
        except ClientGoneError:
            return  # left before the request was whole: nothing was accepted
        finally:
            connection.on_gone = None

    def _call(
        self,
        arrival: "_Arrival",
        key: ApiKey,
        request: ChatRequest,
        headers: Mapping[bytes, bytes],
    ) -> Call:
        end_user = request.user
        if end_user is not None:
            end_user = accept_name(end_user, field="user", length_max=USER_LENGTH_MAX)
        session = _session(request, headers)
        accepted = Accepted(
            id=arrival.id,
            created_at_us=arrival.created_at_us,
            at_s=arrival.at_s,
            account=key.account,
            key_hash=key.hash,
            model=request.model,
            streamed=request.stream,
            prompt_bytes=request.body_bytes,
            end_user=end_user,
            session=session,
            app=_label(headers.get(b"x-openrouter-title") or headers.get(b"x-title")),
            referer=_label(headers.get(b"http-referer")),
            user_agent=_label(headers.get(b"user-agent")),
        )
        names = (request.model, *request.fallbacks) if request.fallbacks else (request.model,)
        candidates = tuple([self._candidate(name, request, accepted) for name in names])
        cold_reason = None
        if (sticky := headers.get(STICKY_HEADER)) is not None and _is_off(sticky):
            cold_reason = "opted-out"
            candidates = tuple([c._replace(keys=self._nobody()) for c in candidates])
        return Call(accepted, request, candidates, cold_reason)

    def _candidate(self, name: str, request: ChatRequest, accepted: Accepted) -> Candidate:
        """Find a model, with or without `:nitro` or `:floor`, and who is warm with it."""
        model, suffix = self._models.get(name), None
        if model is None:
            name, suffix = split_suffix(name)
            model = self._models.get(name)
        if model is None:
            raise CallerError(
                f"model: {name[:100]!r} is not served here; GET /api/v1/models lists what is"
            )
        keys = sticky_keys(
            request,
            account=accepted.account,
            model=model.id,
            end_user=accepted.end_user,
            session=accepted.session,
        )
        return Candidate(model, keys, suffix)

    def _nobody(self) -> StickyKeys:
        """Make the keys of a request that wants no place kept for it."""
        return StickyKeys(self._random_bits(64), self._random_bits(64))


def _is_off(value: bytes) -> bool:
    wanted = value.strip().lower()
    if wanted in (b"off", b"false", b"0"):
        return True
    if wanted in (b"on", b"true", b"1"):
        return False
    raise CallerError("x-regulars-sticky: is neither on nor off")


def _session(request: ChatRequest, headers: Mapping[bytes, bytes]) -> str | None:
    if request.session is not None:
        return accept_name(request.session, field="session_id", length_max=SESSION_LENGTH_MAX)
    for name in _SESSION_HEADERS:
        value = headers.get(name)
        if value:
            text = value.decode("utf-8", "replace")
            return accept_name(text, field=name.decode(), length_max=SESSION_LENGTH_MAX)
    return None


def _label(value: bytes | None) -> str | None:
    """Return a header's text, bounded and printable, None when there is nothing to show."""
    if not value:
        return None
    text = value[:LABEL_CHARS_MAX].decode("utf-8", "replace")
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text
