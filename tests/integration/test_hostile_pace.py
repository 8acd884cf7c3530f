"""Clients that are slow, stop halfway or never end."""

import json
import socket
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.raw_client import CHAT, RawClient, chat_request, request_of
from fakes.running_gateway import HELLO, MODEL, RunningGateway, running_gateway
from fakes.served_process import config_text, served_process
from fakes.strict_gateway import STRICT, auth, strict_gateway
from regulars.model.generation import Outcome


@pytest.fixture(scope="module")
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningGateway]:
    with strict_gateway(tmp_path_factory.mktemp("manners"), provider) as running:
        yield running


def test_a_body_that_trickles_is_cut_off(gateway: RunningGateway) -> None:
    request = chat_request(gateway, user="x" * 400)
    at = len(request) - 300
    began = time.monotonic()

    with RawClient(gateway.port, wait_s=0.05) as client:
        client.send(request[:at])
        answer = None
        while answer is None and at < len(request):
            client.send(request[at : at + 2])
            at += 2
            try:
                answer = client.read_answer()
            except TimeoutError:
                continue

    assert answer is not None
    assert answer.status == 408
    assert time.monotonic() - began < 5.0


def test_a_large_body_may_take_longer_at_a_decent_rate(gateway: RunningGateway) -> None:
    request = chat_request(gateway, user="patient", padding="x" * 300_000)

    with RawClient(gateway.port) as client:
        for at in range(0, len(request), 30_000):
            client.send(request[at : at + 30_000])
            time.sleep(0.1)
        answer = client.read_answer()

    assert answer is not None
    assert answer.status == 200


def test_a_connection_is_not_kept_for_ever_after_an_early_answer(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=STRICT) as gateway,
    ):
        gateway.server.config.timeout_keep_alive = 1
        with RawClient(gateway.port) as client:
            client.send(request_of("POST", CHAT, body=b"", length=10))
            answer = client.read_answer()
            client.send(b"0123456789")

            assert answer is not None
            assert answer.status == 401
            assert client.read_answer() is None


def test_a_body_that_never_comes_after_an_early_answer_gets_no_second_one(
    gateway: RunningGateway,
) -> None:
    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, body=b"12345", length=10))
        answer = client.read_answer()

        assert answer is not None
        assert answer.status == 401
        assert client.read_rest() == b""


@pytest.mark.parametrize(
    "more", [b"5000\r\n" + b"x" * 0x5000 + b"\r\n", b"1;" + b"x" * 30_000 + b"\r\nx\r\n"]
)
def test_a_body_without_end_is_cut_off(gateway: RunningGateway, more: bytes) -> None:
    sent = 0

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), "Transfer-Encoding: chunked"))
        try:
            while sent < 60_000_000:
                client.send(more)
                sent += len(more)
        except (BrokenPipeError, ConnectionResetError):
            pass

    assert sent < 60_000_000


def test_trailers_are_no_headers_and_have_an_end(gateway: RunningGateway) -> None:
    body = json.dumps({"model": MODEL, "messages": HELLO, "user": "trailing"}).encode()
    head = request_of("POST", CHAT, "Transfer-Encoding: chunked")
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(body), body)

    with RawClient(gateway.port) as client:
        client.send(head + chunks + f"{auth(gateway)}\r\n\r\n".encode())
        answer = client.read_answer()
    sent = 0
    with RawClient(gateway.port) as client:
        client.send(head.replace(b"Host: x", auth(gateway).encode()) + chunks)
        try:
            while sent < 60_000_000:
                client.send(b"X-More: " + b"x" * 50_000 + b"\r\n")
                sent += 50_000
        except (BrokenPipeError, ConnectionResetError):
            pass

    assert answer is not None
    assert answer.status == 401
    assert sent < 60_000_000


def test_a_client_that_shuts_its_half_is_one_cancelled_row(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    rows_before = len(gateway.rows())
    abandoned_before = len(provider.abandoned)
    provider.enqueue(Script(head_delay_s=30.0))

    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, user="half-closed"))
        client.socket.shutdown(socket.SHUT_WR)
        rest = client.read_rest()
        rows = gateway.wait_for_rows(rows_before + 1)
        provider.wait_until(lambda: len(provider.abandoned) > abandoned_before)

    assert rest == b""
    assert [row.outcome for row in rows[rows_before:]] == [Outcome.CANCELLED]


def test_a_slow_reader_of_a_large_stream_costs_little_memory(tmp_path: Path) -> None:
    flood = Script(text="x" * 30_000_000, chunks=400)
    with (
        ScriptedProvider() as provider,
        served_process(tmp_path, config_text(tmp_path, {"p0": provider.url})) as gateway,
    ):
        pid = (gateway.children or [gateway.process.pid])[0]
        gateway.chat(user="warm-up", stream=True)
        provider.default = flood
        before = resident_bytes(pid)
        body, headers = gateway.request_of(user="slow", stream=True)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        with RawClient(int(gateway.host.rpartition(":")[2])) as client:
            client.send(request_of("POST", CHAT, *lines, body=body.encode()))
            most, size = before, 0
            while piece := client.socket.recv(65_536):
                size += len(piece)
                # Slow for long enough that all of it would have come otherwise.
                time.sleep(0.02 if size < 5_000_000 else 0.0)
                most = max(most, resident_bytes(pid))
                if piece.endswith(b"0\r\n\r\n"):
                    break

    assert size > 30_000_000
    # A little under 3 MB is in buffers that have bounds: unsent, unread, and what pieces are made of.
    assert most - before < 4_000_000


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
