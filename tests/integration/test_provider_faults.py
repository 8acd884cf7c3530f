"""All that a provider can do wrong, on real sockets: what the client sees and the ledger keeps."""

import json
import socket
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import pytest

from fakes.faulty_gateway import FaultyGateway, Seen, faulty_gateway, one_model
from fakes.provider import Script, ScriptedProvider
from fakes.provider_faults import (
    FAULTS,
    LATE_FAULTS,
    STALLED,
    STREAM_FAULTS,
    WHOLE_FAULTS,
    Fault,
    check_error,
    model_of,
)
from fakes.running_gateway import HELLO
from regulars.model.generation import Outcome

NAMES = (*FAULTS, *WHOLE_FAULTS, *STREAM_FAULTS, "reset_after", "close_after")
SLOW_NAMES = (*LATE_FAULTS, *STALLED, "stall_after")
FORMS = ("whole", "stream")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Generator[FaultyGateway]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with (
        ScriptedProvider() as provider,
        faulty_gateway(
            tmp_path_factory.mktemp("faults"),
            provider,
            names=[f"{name}-{form}" for name in NAMES for form in FORMS],
            impatient=[f"{name}-{form}" for name in SLOW_NAMES for form in FORMS],
            models=[one_model(f"refused-{form}", [nobody]) for form in FORMS],
        ) as running,
    ):
        yield running


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", [*FAULTS, *LATE_FAULTS])
def test_a_fault_is_told_and_kept(faulty: FaultyGateway, name: str, stream: bool) -> None:
    fault = {**FAULTS, **LATE_FAULTS}[name]

    seen = faulty.meet(model_of(name, stream=stream), fault.script, stream=stream)

    check_error(seen, fault)


@pytest.mark.parametrize("name", WHOLE_FAULTS)
def test_a_fault_of_a_whole_answer_is_told_and_kept(faulty: FaultyGateway, name: str) -> None:
    fault = WHOLE_FAULTS[name]

    seen = faulty.meet(model_of(name, stream=False), fault.script, stream=False)

    check_error(seen, fault)


@pytest.mark.parametrize("name", [*STREAM_FAULTS, *STALLED])
def test_a_fault_of_a_stream_is_told_and_kept(faulty: FaultyGateway, name: str) -> None:
    fault = {**STREAM_FAULTS, **STALLED}[name]

    seen = faulty.meet(model_of(name, stream=True), fault.script, stream=True)

    check_error(seen, fault)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_refused_connection_is_told_and_kept(faulty: FaultyGateway, stream: bool) -> None:
    seen = faulty.meet(model_of("refused", stream=stream), Script(), stream=stream)

    check_error(seen, Fault(Script(), words="cannot be reached"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("how", ["reset_after", "close_after", "stall_after"])
def test_an_answer_broken_off_at_any_byte_is_one_failed_row(
    faulty: FaultyGateway, how: str, stream: bool
) -> None:
    size = len(whole_response(faulty.provider, stream=stream))
    # A stall costs its timeout each time, so fewer of those.
    step = {True: 61, False: 29}[stream] * (12 if how == "stall_after" else 1)
    model = model_of(how, stream=stream)
    status = 504 if how == "stall_after" else 502
    odd: list[tuple[int, Seen]] = []
    last_needed = size - (250 if stream else 0)  # from the finish on a stream may be whole enough

    for at in (*range(0, last_needed, step), last_needed - 1):
        seen = faulty.meet(model, replace(Script(), **{how: at}), stream=stream)
        error = seen.answer.events[-1] if seen.answer.status == 200 else seen.answer.json
        told = error.get("error", {}).get("code")
        kept = (seen.rows_added, len(seen.row.attempts), seen.row.outcome, seen.row.status)
        if told != status or kept != (1, 1, Outcome.FAILED, status):
            odd.append((at, seen))

    assert odd == []


def whole_response(provider: ScriptedProvider, *, stream: bool) -> bytes:
    """Ask the provider itself, as the gateway does, for every byte it would send."""
    body = {"model": "tiny", "messages": HELLO, "stream": stream}
    asked = json.dumps({**body, "stream_options": {"include_usage": True}}).encode()
    with closing(socket.create_connection(("127.0.0.1", provider.port), timeout=5)) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(asked) + asked
        )
        got = b""
        while not got.endswith(b"0\r\n\r\n" if stream else b"}}}"):
            got += connection.recv(65_536)
    return got
