"""Mistakes of our own while a request is settled: its row is kept, and says what the client got.

The mistakes are real ones: a price nobody can reckon with, and a router that raises when it is
told of an answer.
"""

import asyncio
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, PRICE, catalog, running_gateway
from regulars.config.settings import ContentSettings, LedgerSettings, Settings, StoreSettings
from regulars.exchange.exchange import Accepted
from regulars.gateway.relay import Call, Relay
from regulars.gateway.routes import endpoint_routes
from regulars.gateway.spending import Spending
from regulars.identity.pseudonym import pseudonyms
from regulars.ledger import LedgerWriter
from regulars.ledger.contents import ContentKeeper
from regulars.model.errors import InternalError
from regulars.model.generation import Generation, Outcome
from regulars.model.ids import generation_id
from regulars.model.money import Price
from regulars.model.tokens import Usage
from regulars.routing.health import Health
from regulars.routing.keys import StickyKeys
from regulars.routing.plan import Candidate, Planner
from regulars.routing.warmhrw import Choice, Router
from regulars.stores.base import Filter
from regulars.stores.sqlite import open_store
from regulars.upstream import Upstream
from regulars.wire.chat import parse_chat

BROKEN_PRICE = Price(PRICE.prompt, PRICE.completion, audio=Decimal("NaN"))
COUNTS = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
OVERLOADED = {"message": "overloaded", "code": 500}


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_cannot_be_priced_is_one_failed_row(tmp_path: Path, *, stream: bool) -> None:
    with (
        ScriptedProvider(default=Script(usage_tokens=COUNTS)) as provider,
        running_gateway(tmp_path, [provider], price=BROKEN_PRICE) as gateway,
    ):
        gateway.chat(stream=stream)
        rows = gateway.wait_for_rows(1)

    assert [(row.outcome, row.error) for row in rows] == [(Outcome.FAILED, "server")]
    assert (rows[0].usage, rows[0].cost) == (Usage(1000, 100), None)


def test_a_cut_stream_that_cannot_be_priced_is_one_failed_row(tmp_path: Path) -> None:
    broken = Script(usage="every", error=OVERLOADED, error_after=2)
    with (
        ScriptedProvider(default=broken) as provider,
        running_gateway(tmp_path, [provider], price=BROKEN_PRICE) as gateway,
    ):
        gateway.chat(stream=True)
        rows = gateway.wait_for_rows(1)

    assert [row.outcome for row in rows] == [Outcome.FAILED]
    assert rows[0].usage is not None


def test_a_client_that_left_what_cannot_be_priced_leaves_a_row(tmp_path: Path) -> None:
    slow = Script(chunks=200, chunk_delay_s=0.02)
    with (
        ScriptedProvider(default=slow) as provider,
        running_gateway(tmp_path, [provider], price=BROKEN_PRICE) as gateway,
    ):
        body = msgspec.json.encode({"model": MODEL, "messages": HELLO, "stream": True})
        head = f"POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.key}\r\n"
        with gateway.connect() as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert b"200 OK" in client.recv(4096)
        (row,) = gateway.wait_for_rows(1)

    assert row.outcome in {Outcome.CANCELLED, Outcome.FAILED}
    assert row.usage is not None


class DeafPlanner(Planner):
    """Raises when it is told how an attempt ended."""

    def answered(
        self,
        choice: Choice,  # noqa: ARG002 - the planner's signature
        usage: Usage,  # noqa: ARG002
        now_s: float,  # noqa: ARG002
        *,
        ttft_s: float | None,  # noqa: ARG002
        spent_s: float,  # noqa: ARG002
    ) -> None:
        raise LookupError("a mistake")


class HeldClient:
    """A client whose answer is looked at afterwards."""

    gone = started = is_full = False
    direct = None

    def __init__(self) -> None:
        self.sent = b""

    def on_gone(self, call: object) -> None:
        """Never leaves."""

    def whole(self, generation_id: str, body: bytes) -> None:  # noqa: ARG002
        self.sent += body

    def frames(self, generation_id: str, frames: bytes) -> bool:  # noqa: ARG002
        self.started = True
        self.sent += frames
        return True

    async def drain(self) -> None:
        """Reads at once."""

    def end(self, frames: bytes) -> None:
        self.sent += frames


def settled_by_the_deaf(folder: Path, *, stream: bool) -> tuple[list[Generation], HeldClient, bool]:
    """Serve one call by a relay whose planner raises: (rows, client, whether an error was raised)."""
    client = HeldClient()
    with ScriptedProvider(default=Script(usage_tokens=COUNTS)) as provider:
        raised = asyncio.run(_chat(folder, provider, client, stream=stream))
    store = open_store(f"sqlite:///{folder}/regulars.db")
    rows, _ = store.generations(Filter(account="default"), limit=10, before=None)
    assert list(store.verify()) == []
    store.close()
    return rows, client, raised


async def _chat(
    folder: Path, provider: ScriptedProvider, client: HeldClient, *, stream: bool
) -> bool:
    url = f"sqlite:///{folder}/regulars.db"
    settings = Settings(store=StoreSettings(url), catalog=catalog([provider]))
    store, upstream = open_store(url), Upstream(settings.upstream)
    writer = LedgerWriter(store, LedgerSettings())
    relay = Relay(
        settings,
        upstream=upstream,
        routes=endpoint_routes(settings.catalog, upstream, pseudonyms(b"p" * 32)),
        planner=DeafPlanner(settings.catalog, router=Router(), health=Health(), attempts_max=3),
        writer=writer,
        spending=Spending(store),
        contents=ContentKeeper(store, ContentSettings(), lambda: 1.0),
    )
    upstream_fields = {"model": MODEL, "messages": HELLO, "stream": stream}
    request = parse_chat(msgspec.json.encode(upstream_fields))
    accepted = Accepted(
        id=generation_id(1_760_000_000_000_000, 7),
        created_at_us=1_760_000_000_000_000,
        at_s=0.0,
        account="default",
        key_hash="k",
        model=MODEL,
        streamed=stream,
        prompt_bytes=100,
        end_user="u",
        session=None,
        app=None,
        referer=None,
        user_agent=None,
    )
    candidate = Candidate(settings.catalog.models[MODEL], StickyKeys(1, 2))
    writer.start()
    try:
        await relay.chat(Call(accepted, request, (candidate,)), client)
    except InternalError:
        return True
    else:
        return False
    finally:
        await writer.drain(5.0)
        writer.stop()
        await upstream.close()
        store.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_router_that_raises_takes_no_row_along(tmp_path: Path, *, stream: bool) -> None:
    rows, client, raised = settled_by_the_deaf(tmp_path, stream=stream)

    assert raised or b'"error"' in client.sent
    assert [(row.outcome, row.status, row.error) for row in rows] == [
        (Outcome.FAILED, 500, "server")
    ]
    assert rows[0].usage == Usage(1000, 100)
    assert rows[0].cost is not None
