"""A few thousand malformed sessions; `make bench ARGS=--long` sends a hundred thousand."""

import asyncio
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from fakes.faulty_gateway import one_model
from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import running_gateway
from regulars.config.settings import ServerSettings, UpstreamSettings
from regulars.model.catalog import Catalog

ROOT = Path(__file__).resolve().parents[2]
SESSIONS = 2_000
SERVER = ServerSettings(
    drain_timeout_s=5.0, header_timeout_s=1.0, body_timeout_s=1.0, write_stall_timeout_s=2.0
)
WHOLE = (
    b'{"id": "c", "object": "chat.completion", "created": 1, "model": "tiny", "choices": [{'
    b'"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}]}'
)


@pytest.fixture(autouse=True)
def _bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT))
    yield
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "bench":
            del sys.modules[name]


def test_malformed_requests_break_nothing_and_leave_nothing(tmp_path: Path) -> None:
    from bench.fuzz import Plan, fuzz

    with (
        # Not as a stream, whatever was asked: reading what the fuzz sends is the gateway's work.
        ScriptedProvider(default=Script(body=WHOLE)) as provider,
        running_gateway(
            tmp_path,
            [],
            server=SERVER,
            upstream=UpstreamSettings(idle_connection_s=0.5),
            serving=Catalog({"bench/echo": one_model("bench/echo", [provider.url])}),
        ) as gateway,
    ):
        found = asyncio.run(fuzz(Plan(gateway.port, gateway.key, SESSIONS, seed=11)))
        state = gateway.server.server_state
        deadline = time.monotonic() + 10.0
        while (state.connections or state.tasks or provider.open_connections) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.05)

        # The provider answers streams whole, which is the only reason for a 502.
        assert [fault for fault in found.faults if "502" not in fault] == []
        assert found.sessions == SESSIONS
        assert found.statuses[200] > SESSIONS // 100
        assert found.statuses[400] > SESSIONS // 10
        assert (len(state.connections), len(state.tasks)) == (0, 0)
        assert provider.open_connections == 0
        assert gateway.get("/readyz").status == 200


def test_a_session_can_be_sent_again_by_its_number() -> None:
    from bench.malformed import malformed

    assert malformed(1, 7, "k") == malformed(1, 7, "k")
    assert len({malformed(1, number, "k") for number in range(100)}) == 100
