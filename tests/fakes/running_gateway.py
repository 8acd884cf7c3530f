"""The real gateway on a real port, in a thread of the test's process.

    with running_gateway(tmp_path, [provider]) as gateway:
        answer = gateway.chat(user="u")
        assert gateway.rows()[0].outcome == "completed"

Everything is real but the process: uvicorn with our protocol, the SQLite store, our client.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import uvicorn

from fakes.provider import ScriptedProvider
from regulars.app import AppFactory, http_protocol, prepare
from regulars.config.settings import (
    ContentSettings,
    IdentitySettings,
    LedgerSettings,
    RoutingSettings,
    ServerSettings,
    Settings,
    StoreSettings,
    UpstreamSettings,
)
from regulars.model.catalog import Catalog, Endpoint, Model, Provider, Timeouts
from regulars.model.generation import Generation
from regulars.model.money import Price
from regulars.stores.base import Filter
from regulars.stores.sqlite import open_store

MODEL = "test/tiny"
PRICE = Price(
    prompt=Decimal("0.60") / 1_000_000,
    completion=Decimal("0.80") / 1_000_000,
    cache_read=Decimal("0.06") / 1_000_000,
)
QUICK = Timeouts(connect_s=2.0, first_byte_s=5.0, idle_s=5.0, total_s=20.0)
START_S = 10.0
WAIT_S = 10.0
HELLO = [{"role": "user", "content": "What's the weather like today?"}]


@dataclass(slots=True)
class Answer:
    """One HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON events of a stream, without `[DONE]`."""
        return [json.loads(data) for data in self.data if data != "[DONE]"]

    @property
    def data(self) -> list[str]:
        blocks = self.body.decode().split("\n\n")
        return [block[6:] for block in blocks if block.startswith("data: ")]

    @property
    def text(self) -> str:
        choices = [event["choices"][0] for event in self.events if event["choices"]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


@dataclass(slots=True)
class RunningGateway:
    """What a test does with the gateway."""

    port: int
    key: str
    management_key: str
    settings: Settings
    login_path: str
    server: uvicorn.Server = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            connection.request(method, path, body, sent)
            got = connection.getresponse()
            names = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, names, got.read())
        finally:
            connection.close()

    def chat(self, *, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        body = {"model": MODEL, "messages": HELLO, **fields}
        return self.request(
            "POST",
            "/api/v1/chat/completions",
            json.dumps(body).encode(),
            key=self.key,
            headers=headers,
        )

    def get(self, path: str, *, key: str | None = None) -> Answer:
        return self.request("GET", path, key=key or self.management_key)

    def rows(self) -> list[Generation]:
        """All rows of the ledger, oldest first."""
        store = open_store(self.settings.store.url)
        try:
            rows, _ = store.generations(Filter(account="default"), limit=1000, before=None)
            return rows[::-1]
        finally:
            store.close()

    def wait_for_rows(self, count: int) -> list[Generation]:
        """Wait until there are that many rows, and fail when they do not come."""
        pause = threading.Event()
        for _ in range(int(WAIT_S / 0.02)):
            rows = self.rows()
            if len(rows) >= count:
                return rows
            pause.wait(0.02)
        raise AssertionError(f"{len(self.rows())} rows after {WAIT_S} s, not {count}")

    def connect(self) -> socket.socket:
        """Open a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)


def catalog(
    providers: Sequence[ScriptedProvider],
    *,
    timeouts: Timeouts = QUICK,
    price: Price | None = PRICE,
) -> Catalog:
    """Serve one model at all providers, named p0, p1, …"""
    endpoints = tuple(
        Endpoint(
            id=f"p{number}/{MODEL}",
            model=MODEL,
            provider=Provider(
                slug=f"p{number}",
                name=f"Provider {number}",
                dialect="openai",
                base_url=provider.url,
                key="upstream-secret",
                timeouts=timeouts,
                cache_ttl_s=300.0,
            ),
            upstream_model="tiny",
            price=price,
        )
        for number, provider in enumerate(providers)
    )
    return Catalog({MODEL: Model(MODEL, "Tiny", 1, 4096, endpoints)})


@contextlib.contextmanager
def running_gateway(
    folder: Path,
    providers: Sequence[ScriptedProvider],
    *,
    server: ServerSettings | None = None,
    upstream: UpstreamSettings | None = None,
    ledger: LedgerSettings | None = None,
    content: ContentSettings | None = None,
    timeouts: Timeouts = QUICK,
    price: Price | None = PRICE,
    serving: Catalog | None = None,
    routing: RoutingSettings | None = None,
    identity: IdentitySettings | None = None,
    keys: tuple[str, str] = ("", ""),
) -> Generator[RunningGateway]:
    """Run a gateway over these providers, or a catalog, until the block ends, then drain it.

    `keys`, for inference and for management, are those of an earlier run on the same folder.
    """
    settings = Settings(
        store=StoreSettings(f"sqlite:///{folder}/regulars.db"),
        catalog=serving or catalog(providers, timeouts=timeouts, price=price),
        server=server or ServerSettings(drain_timeout_s=5.0),
        upstream=upstream or UpstreamSettings(),
        ledger=ledger or LedgerSettings(),
        content=content or ContentSettings(),
        routing=routing or RoutingSettings(),
        identity=identity or IdentitySettings(),
    )
    prepared = prepare(settings)
    secrets = dict(prepared.created)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        config = uvicorn.Config(
            AppFactory(settings),
            factory=True,
            http=http_protocol(settings),
            ws="none",
            lifespan="on",
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(settings.server.drain_timeout_s),
        )
        uvicorn_server = _Server(config)
        thread = threading.Thread(
            target=uvicorn_server.run, kwargs={"sockets": [listener]}, name="gateway"
        )
        thread.start()
        try:
            assert uvicorn_server.ready.wait(START_S), "the gateway did not start"
            yield RunningGateway(
                port=port,
                key=secrets.get("first", keys[0]),
                management_key=secrets.get("first-management", keys[1]),
                settings=settings,
                login_path=prepared.login_path,
                server=uvicorn_server,
            )
        finally:
            uvicorn_server.should_exit = True
            thread.join(settings.server.drain_timeout_s + 15.0)
            assert not thread.is_alive(), "the gateway did not stop"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
