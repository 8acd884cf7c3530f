"""A request that is over leaves nothing to the garbage collector, which looks seldom here."""

import gc
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fakes.provider import Script, ScriptedProvider, error_script
from fakes.raw_client import RawClient, chat_request
from fakes.running_gateway import RunningGateway, running_gateway
from regulars.exchange.exchange import Exchange
from regulars.http.server import EdgeProtocol

REQUESTS = 20
WATCHED = (EdgeProtocol, Exchange)
"""What only a connection and only a request holds: a cycle around them keeps all they hold."""
SCRIPTS = {
    "good": Script(),
    "refused": error_script(503, "busy"),
    "cut": Script(close_after=400),
    "error-inside": Script(error={"code": 500, "message": "broke"}, error_after=2),
    "nonsense": Script(raw=b"what?\r\n"),
}


@pytest.fixture
def two(tmp_path: Path) -> Generator[tuple[RunningGateway, list[ScriptedProvider]]]:
    with (
        ScriptedProvider() as first,
        ScriptedProvider() as second,
        running_gateway(tmp_path, [first, second]) as gateway,
    ):
        yield gateway, [first, second]


@contextmanager
def garbage() -> Generator[Counter[str]]:
    """Count what of `WATCHED` only the collector could free, once the block is over."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        time.sleep(0.2)  # tasks of the last requests end
        gc.collect()
        found.update(type(one).__name__ for one in gc.garbage if isinstance(one, WATCHED))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_answered_request_leaves_no_garbage(
    two: tuple[RunningGateway, list[ScriptedProvider]], name: str, stream: bool
) -> None:
    gateway, providers = two
    gateway.chat(stream=stream)
    for provider in providers:
        provider.default = SCRIPTS[name]

    with garbage() as found:
        for number in range(REQUESTS):
            gateway.chat(user=f"u{number}", stream=stream)

    assert found.total() <= 1, found


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_request_that_found_another_endpoint_leaves_no_garbage(
    two: tuple[RunningGateway, list[ScriptedProvider]], stream: bool
) -> None:
    gateway, providers = two
    providers[0].default = SCRIPTS["refused"]

    with garbage() as found:
        statuses = [
            gateway.chat(user=f"u{number}", stream=stream).status for number in range(REQUESTS)
        ]

    assert set(statuses) == {200}
    assert found.total() <= 1, found


def test_clients_that_leave_leave_no_garbage(
    two: tuple[RunningGateway, list[ScriptedProvider]],
) -> None:
    gateway, providers = two
    for provider in providers:
        provider.default = Script(head_delay_s=30.0)
    whole = chat_request(gateway, user="left")

    with garbage() as found:
        for number in range(REQUESTS):
            with RawClient(gateway.port) as client:
                client.send(whole if number % 2 else whole[: number * 10])
                time.sleep(0.01)
        gateway.wait_for_rows(REQUESTS // 2)

    assert found.total() <= 1, found


@pytest.mark.parametrize("path", ["/healthz", "/nowhere", "/api/v1/models", "/api/v1/generation"])
def test_the_other_routes_leave_no_garbage(
    two: tuple[RunningGateway, list[ScriptedProvider]], path: str
) -> None:
    gateway, _ = two
    gateway.get(path)

    with garbage() as found:
        for _ in range(REQUESTS):
            gateway.get(path)

    assert found.total() <= 1, found
