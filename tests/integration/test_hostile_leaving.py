"""Clients that leave at any byte: no half request is a row, each accepted one is exactly one row."""

from collections.abc import Generator
from pathlib import Path

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.raw_client import RawClient, chat_request
from fakes.running_gateway import RunningGateway
from fakes.strict_gateway import strict_gateway
from regulars.model.generation import Outcome

STREAM = Script(chunks=12, chunk_delay_s=0.03)


@pytest.fixture
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider(default=STREAM) as running:
        yield running


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Generator[RunningGateway]:
    with strict_gateway(tmp_path, provider) as running:
        yield running


def test_who_leaves_within_his_request_leaves_no_row(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    request = chat_request(gateway, user="half")

    for end in range(0, len(request), 17):
        with RawClient(gateway.port) as client:
            client.send(request[:end])
            client.reset()
    provider.default = Script()
    whole = gateway.chat(user="whole")

    assert whole.status == 200
    assert [row.end_user for row in gateway.rows()] == ["whole"]
    assert len(provider.requests) == 1


def test_who_leaves_within_his_answer_is_one_cancelled_row(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    cuts = range(1, 1400, 100)

    for cut in cuts:
        with RawClient(gateway.port) as client:
            client.send(chat_request(gateway, user=f"u{cut}", stream=True))
            left = cut
            while left > 0:
                left -= len(client.socket.recv(left))
            client.reset()
    rows = gateway.wait_for_rows(len(cuts))
    provider.wait_until(lambda: len(provider.abandoned) == len(cuts))

    assert sorted(row.end_user or "" for row in rows) == sorted(f"u{cut}" for cut in cuts)
    assert {row.outcome for row in rows} == {Outcome.CANCELLED}
    assert all(row.usage is not None and row.cost is not None for row in rows)
