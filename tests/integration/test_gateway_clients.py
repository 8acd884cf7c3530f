"""What clients may do to the gateway: leave, stall, send too much, too little or nonsense."""

import json
import socket
import struct
from pathlib import Path
from typing import Any

from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, RunningGateway, running_gateway
from regulars.config.settings import ServerSettings
from regulars.model.generation import Outcome, UsageSource

SERVER = ServerSettings(
    drain_timeout_s=5.0, header_timeout_s=0.4, body_timeout_s=0.4, header_limit_bytes=4096
)


def request_bytes(gateway: RunningGateway, **fields: Any) -> bytes:
    body = json.dumps({"model": MODEL, "messages": HELLO, **fields}).encode()
    head = (
        "POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {gateway.key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got:
        piece = connection.recv(65536)
        if not piece:
            break
        got += piece
    return got


def read_times(connection: socket.socket, mark: bytes, times: int) -> bytes:
    got = b""
    while got.count(mark) < times:
        piece = connection.recv(65536)
        assert piece, f"closed after {got.count(mark)} of {times}"
        got += piece
    return got


def read_all(connection: socket.socket) -> bytes:
    """Read to the end and close."""
    got = b""
    with connection:
        while piece := connection.recv(65536):
            got += piece
    return got


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_client_that_leaves_a_stream_is_a_cancelled_row(tmp_path: Path) -> None:
    slow = Script(chunks=200, chunk_delay_s=0.02)
    with (
        ScriptedProvider(default=slow) as provider,
        running_gateway(tmp_path, [provider]) as gateway,
    ):
        connection = gateway.connect()
        connection.sendall(request_bytes(gateway, user="u", stream=True))
        read_until(connection, b"data: ")
        reset(connection)
        (row,) = gateway.wait_for_rows(1)
        provider.wait_until(lambda: len(provider.abandoned) == 1)

    assert row.outcome is Outcome.CANCELLED
    assert row.status == 499
    assert row.usage is not None
    assert row.usage.completion_tokens >= 1
    assert row.usage_source is UsageSource.ESTIMATED
    assert row.cost is not None


def test_a_client_that_leaves_before_the_answer_is_a_cancelled_row(tmp_path: Path) -> None:
    with (
        ScriptedProvider(default=Script(head_delay_s=30.0)) as provider,
        running_gateway(tmp_path, [provider]) as gateway,
    ):
        for stream in (False, True):
            connection = gateway.connect()
            connection.sendall(request_bytes(gateway, user="u", stream=stream))
            provider.wait_until(lambda: len(provider.requests) == 1 + stream)  # noqa: B023
            connection.close()
        rows = gateway.wait_for_rows(2)

    assert {row.outcome for row in rows} == {Outcome.CANCELLED}


def test_a_client_that_leaves_before_its_request_is_whole_leaves_no_row(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        connection = gateway.connect()
        connection.sendall(request_bytes(gateway, user="u")[:-5])
        connection.close()
        after = gateway.chat(user="u")

        assert after.status == 200
        assert len(gateway.rows()) == 1


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        connection = gateway.connect()
        connection.sendall(b"".join(request_bytes(gateway, user=f"u{n}") for n in range(3)))
        read_times(connection, b"HTTP/1.1 200 ", 3)
        connection.close()
        rows = gateway.wait_for_rows(3)

    assert [row.end_user for row in rows] == ["u0", "u1", "u2"]


def test_a_slow_head_is_cut_off(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=SERVER) as gateway,
    ):
        connection = gateway.connect()
        connection.sendall(b"POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
        got = read_all(connection)

    assert got.startswith(b"HTTP/1.1 408 ")
    assert b"head did not arrive within 0.4 s" in got


def test_a_silent_connection_is_closed(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=SERVER) as gateway,
    ):
        got = read_all(gateway.connect())

    assert got == b""


def test_a_slow_body_is_cut_off(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=SERVER) as gateway,
    ):
        connection = gateway.connect()
        connection.sendall(request_bytes(gateway, user="u")[:-5])
        got = read_all(connection)

        assert got.startswith(b"HTTP/1.1 408 ")
        assert b"body did not arrive" in got
        assert gateway.rows() == []


def test_a_head_over_the_limit_is_refused(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=SERVER) as gateway,
    ):
        whole = gateway.connect()
        whole.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Pad: " + b"x" * 5000 + b"\r\n\r\n")
        in_one = read_all(whole)
        pieces = gateway.connect()
        pieces.sendall(b"GET /" + b"x" * 5000)
        in_parts = read_all(pieces)

    assert in_one.startswith(b"HTTP/1.1 431 ")
    assert in_parts.startswith(b"HTTP/1.1 431 ")


def test_a_body_over_the_limit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        connection = gateway.connect()
        connection.sendall(
            (
                "POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {gateway.key}\r\nContent-Length: 99999999\r\n"
                "Expect: 100-continue\r\n\r\n"
            ).encode()
        )
        got = read_until(connection, b"}}")
        connection.close()

    assert got.startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_over_the_limit_is_refused(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, body_limit_bytes=1000)
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        connection = gateway.connect()
        connection.sendall(
            (
                "POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {gateway.key}\r\nTransfer-Encoding: chunked\r\n\r\n"
            ).encode()
            + (b"190\r\n" + b"x" * 400 + b"\r\n") * 3
        )
        got = read_until(connection, b"}}")
        connection.close()

    assert got.startswith(b"HTTP/1.1 413 ")


def test_what_is_no_http_gets_openrouters_error_shape(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        connection = gateway.connect()
        connection.sendall(b"\x16\x03\x01 what is this\r\n\r\n")
        got = read_all(connection)

    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == 400


def test_conflicting_lengths_are_refused(tmp_path: Path) -> None:
    smuggled = [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
    ]
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        for headers in smuggled:
            connection = gateway.connect()
            connection.sendall(
                b"POST /api/v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\nhello"
            )

            assert read_all(connection).startswith(b"HTTP/1.1 400 ")
        assert gateway.chat(user="u").status == 200


def test_compressed_bodies_are_refused(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        got = gateway.chat(user="u", headers={"Content-Encoding": "gzip"})

    assert got.status == 415
    assert "'gzip'" in got.json["error"]["message"]


def test_too_many_requests_in_flight_get_a_quick_503(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, in_flight_max=1)
    with (
        ScriptedProvider(default=Script(head_delay_s=1.0)) as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        connection = gateway.connect()
        connection.sendall(request_bytes(gateway, user="u"))
        provider.wait_until(lambda: len(provider.requests) == 1)
        refused = gateway.chat(user="u2")
        healthy = gateway.get("/healthz")
        first = read_until(connection, b"}")
        connection.close()

    assert refused.status == 503
    assert refused.headers["retry-after"] == "1"
    assert healthy.status == 200
    assert first.startswith(b"HTTP/1.1 200 ")


def test_a_reader_that_takes_nothing_is_cut_and_the_upstream_with_him(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, write_stall_timeout_s=0.5)
    flood = Script(text="x" * 30_000_000, chunks=400)
    with (
        ScriptedProvider(default=flood) as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        connection = gateway.connect()
        connection.sendall(request_bytes(gateway, user="u", stream=True))
        (row,) = gateway.wait_for_rows(1)
        provider.wait_until(lambda: len(provider.abandoned) == 1)
        connection.close()

    assert row.outcome is Outcome.CANCELLED


def test_a_drain_lets_open_streams_finish(tmp_path: Path) -> None:
    slow = Script(chunks=10, chunk_delay_s=0.1)
    with ScriptedProvider(default=slow) as provider:
        with running_gateway(tmp_path, [provider]) as gateway:
            connection = gateway.connect()
            connection.sendall(request_bytes(gateway, user="u", stream=True))
            got = read_until(connection, b"data: ")
            gateway.server.should_exit = True
            got += read_all(connection)
        rows = gateway.rows()

    assert b"data: [DONE]" in got
    assert [row.outcome for row in rows] == [Outcome.COMPLETED]


def test_a_drain_has_an_end_and_cut_requests_have_their_row(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=1.0)
    with ScriptedProvider(default=Script(head_delay_s=30.0)) as provider:
        with running_gateway(tmp_path, [provider], server=server) as gateway:
            connection = gateway.connect()
            connection.sendall(request_bytes(gateway, user="u", stream=True))
            provider.wait_until(lambda: len(provider.requests) == 1)
            gateway.server.should_exit = True
            read_all(connection)
        rows = gateway.rows()

    assert [row.outcome for row in rows] == [Outcome.INTERRUPTED]
