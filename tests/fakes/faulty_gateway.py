"""A gateway that serves one model per fault, so that no fault spoils what is known of another.

with faulty_gateway(folder, provider, names=["reset"]) as faulty:
    seen = faulty.meet("reset", Script(reset_after=0), stream=True)
    assert seen.row.outcome is Outcome.FAILED
"""

import contextlib
import sqlite3
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import PRICE, Answer, RunningGateway, running_gateway
from regulars.config.settings import ServerSettings, UpstreamSettings
from regulars.model.catalog import Catalog, Endpoint, Model, Provider, Timeouts
from regulars.model.generation import Generation
from regulars.stores.sqlite import open_store

BODY_LIMIT_BYTES = 200_000
PATIENT = Timeouts(connect_s=2.0, first_byte_s=10.0, idle_s=10.0, total_s=20.0)
IMPATIENT = Timeouts(connect_s=2.0, first_byte_s=0.3, idle_s=0.3, total_s=20.0)
UPSTREAM_KEY = "upstream-canary-0123456789"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one fault looked like: to the client, and in the ledger."""

    answer: Answer
    row: Generation
    rows_added: int


@dataclass(slots=True)
class FaultyGateway:
    """The gateway, the provider that misbehaves, and a model for each way it does."""

    gateway: RunningGateway
    provider: ScriptedProvider
    patient: Script

    def meet(self, name: str, script: Script, *, stream: bool, user: str = "u") -> Seen:
        """Let the provider answer every request by `script`, and ask once."""
        before = self.row_count()
        self.provider.default = script
        try:
            answer = self.gateway.chat(model=name, user=user, stream=stream)
        finally:
            self.provider.default = self.patient
        return Seen(answer, self.row_of(answer), self.row_count() - before)

    def row_of(self, answer: Answer) -> Generation:
        """The ledger's row of an answer."""
        store = open_store(self.gateway.settings.store.url)
        try:
            row = store.generation(answer.headers["x-generation-id"])
        finally:
            store.close()
        assert row is not None, f"no row of {answer.headers['x-generation-id']}"
        return row

    def row_count(self) -> int:
        """How many rows the ledger holds."""
        file = self.gateway.settings.store.url.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(file)) as connection:
            return int(connection.execute("SELECT count(*) FROM generation").fetchone()[0])


def one_model(name: str, base_urls: Sequence[str], *, timeouts: Timeouts = PATIENT) -> Model:
    """Offer a model at these addresses, by providers of its own."""
    endpoints = tuple(
        Endpoint(
            id=f"{name}-{number}",
            model=name,
            provider=Provider(
                slug=f"{name}-{number}",
                name="Faulty",
                dialect="openai",
                base_url=base_url,
                key=UPSTREAM_KEY,
                timeouts=timeouts,
                cache_ttl_s=300.0,
            ),
            upstream_model="tiny",
            price=PRICE,
        )
        for number, base_url in enumerate(base_urls)
    )
    return Model(name, name, 1, 4096, endpoints)


@contextlib.contextmanager
def faulty_gateway(
    folder: Path,
    provider: ScriptedProvider,
    *,
    names: Sequence[str] = (),
    impatient: Sequence[str] = (),
    models: Sequence[Model] = (),
    server: ServerSettings | None = None,
) -> Generator[FaultyGateway]:
    """Serve a model under each name; those under `impatient` time out soon."""
    served = [
        *(one_model(name, [provider.url]) for name in names),
        *(one_model(name, [provider.url], timeouts=IMPATIENT) for name in impatient),
        *models,
    ]
    with running_gateway(
        folder,
        [],
        serving=Catalog({model.id: model for model in served}),
        server=server,
        upstream=UpstreamSettings(header_limit_bytes=16_384, body_limit_bytes=BODY_LIMIT_BYTES),
    ) as gateway:
        yield FaultyGateway(gateway, provider, provider.default)
