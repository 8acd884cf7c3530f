import asyncio
import socket
from typing import Any

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.upstream_call import STREAM, Caller, Run, calling, on_both_loops, read_all
from regulars.config.settings import UpstreamSettings
from regulars.model.errors import (
    UpstreamClosedError,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamTooLargeError,
)

pytestmark = on_both_loops

OK = b"HTTP/1.1 200 OK\r\n"


async def failure_of(caller: Caller, body: bytes = STREAM) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await caller.ask(body)
    return caught.value


def failure(run: Run, script: Script, **timeouts: Any) -> UpstreamError:
    async def scenario(provider: ScriptedProvider) -> UpstreamError:
        async with calling(provider, **timeouts) as caller:
            error = await failure_of(caller)
            assert caller.counts.idle == 0
            return error

    with ScriptedProvider(default=script) as provider:
        error = run(scenario(provider))
    assert "alpha" in error.message
    assert str(provider.port) in error.message
    assert "secret" not in error.message
    return error


def test_refused_connection_is_a_connect_error(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    async def scenario() -> UpstreamError:
        async with calling(f"http://127.0.0.1:{port}") as caller:
            return await failure_of(caller)

    error = run(scenario())

    assert isinstance(error, UpstreamConnectError)
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert "cannot be reached" in error.message


@pytest.mark.parametrize("host", ["does-not-exist.invalid", "a" * 64 + ".invalid"])
def test_unknown_host_is_a_connect_error(run: Run, host: str) -> None:
    async def scenario() -> UpstreamError:
        async with calling(f"http://{host}") as caller:
            return await failure_of(caller)

    assert isinstance(run(scenario()), UpstreamConnectError)


def test_connecting_takes_no_longer_than_its_timeout(run: Run) -> None:
    async def scenario(url: str) -> UpstreamError:
        async with calling(url, connect_s=0.1) as caller:
            error = await failure_of(caller)
            assert caller.counts.open == 0
            return error

    # A TLS handshake that nobody answers: connecting includes it.
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = run(scenario(f"https://127.0.0.1:{server.getsockname()[1]}"))

    assert isinstance(error, UpstreamConnectError)
    assert "0.1 s" in error.message


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["close_after", "reset_after"])
@pytest.mark.parametrize("after", [0, 10, 130, 300])
def test_an_answer_cut_short_is_a_closed_error(
    run: Run, framing: str, how: str, after: int
) -> None:
    script = Script(framing=framing, body=b"x" * 1000, **{how: after})  # pyright: ignore[reportArgumentType] - a parameter of literals

    error = failure(run, script)

    assert isinstance(error, UpstreamClosedError)
    assert "closed the connection" in error.message


def test_a_body_read_until_the_close_must_not_end_in_a_reset(run: Run) -> None:
    error = failure(run, Script(framing="close", body=b"x" * 1000, reset_after=300))

    assert isinstance(error, UpstreamClosedError)


def test_what_came_before_the_failure_is_read_first(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            assert await response.read() == b"first"
            with pytest.raises(UpstreamClosedError):
                await response.read()
            with pytest.raises(UpstreamClosedError):
                await response.read()
            response.close()

    raw = OK + b"content-length: 100\r\n\r\nfirst"
    with ScriptedProvider(default=Script(raw=raw)) as provider:
        run(scenario(provider))


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00",
        b"<html>not http</html>",
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        OK + b"content-length: abc\r\n\r\n",
        OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
        OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n",
        OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        OK + b"transfer-encoding: identity\r\n\r\nok",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\nok\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n2\r\nokay\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n-2\r\nok\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 099 Strange\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 700 Strange\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_protocol_error(run: Run, raw: bytes) -> None:
    assert isinstance(failure(run, Script(raw=raw)), UpstreamProtocolError)


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"x-long: " + b"y" * 10_000 + b"\r\n\r\n",
        OK + b"x-endless: " + b"y" * 1_000_000,
        OK + b"x-many: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n" * 1000,
        OK + b"transfer-encoding: chunked\r\n\r\n0\r\nx-endless: " + b"y" * 1_000_000,
    ],
    ids=["long", "endless", "many", "interim", "trailer"],
)
def test_headers_are_bounded(run: Run, raw: bytes) -> None:
    limits = UpstreamSettings(header_limit_bytes=8000)

    async def scenario(provider: ScriptedProvider) -> UpstreamError:
        async with calling(provider, limits=limits) as caller:
            return await failure_of(caller)

    with ScriptedProvider(default=Script(raw=raw)) as provider:
        error = run(scenario(provider))

    assert isinstance(error, UpstreamTooLargeError)
    assert "8000 bytes" in error.message


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_bodies_are_bounded(run: Run, framing: str) -> None:
    limits = UpstreamSettings(body_limit_bytes=9999)

    async def scenario(provider: ScriptedProvider) -> UpstreamError:
        async with calling(provider, limits=limits) as caller:
            return await failure_of(caller)

    with ScriptedProvider(default=Script(framing=framing, body=bytes(10_000))) as provider:  # pyright: ignore[reportArgumentType] - a parameter of literals
        error = run(scenario(provider))

    assert isinstance(error, UpstreamTooLargeError)
    assert "9999 bytes" in error.message


def test_an_endless_body_is_bounded(run: Run) -> None:
    limits = UpstreamSettings(body_limit_bytes=1_000_000)

    async def scenario(provider: ScriptedProvider) -> UpstreamError:
        async with calling(provider, limits=limits) as caller:
            return await failure_of(caller)

    with ScriptedProvider(default=Script(endless=True, body=bytes(50_000))) as provider:
        error = run(scenario(provider))
        provider.wait_until(lambda: len(provider.abandoned) == 1)

    assert isinstance(error, UpstreamTooLargeError)


@pytest.mark.parametrize("after", [0, 20, 82])
def test_silence_before_the_first_body_byte_is_bounded(run: Run, after: int) -> None:
    error = failure(run, Script(stall_after=after), first_byte_s=0.15, idle_s=0.05)

    assert isinstance(error, UpstreamTimeoutError)
    assert "no first byte of an answer within 0.15 s" in error.message


def test_silence_between_pieces_is_bounded(run: Run) -> None:
    error = failure(run, Script(stall_after=400), idle_s=0.1)

    assert isinstance(error, UpstreamTimeoutError)
    assert "no further byte within 0.1 s" in error.message


def test_the_first_byte_may_take_longer_than_later_ones(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, first_byte_s=5, idle_s=0.1) as caller:
            assert await caller.ask() == (200, b"late")

    with ScriptedProvider(default=Script(body=b"late", body_delay_s=0.3)) as provider:
        run(scenario(provider))


def test_pieces_that_keep_coming_keep_the_stream_alive(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, idle_s=0.3) as caller:
            status, body = await caller.ask(STREAM)
            assert status == 200
            assert body.endswith(b"[DONE]\n\n")

    with ScriptedProvider(default=Script(chunks=12, chunk_delay_s=0.05)) as provider:
        run(scenario(provider))


def test_the_whole_answer_is_bounded_in_time(run: Run) -> None:
    script = Script(endless=True, body=b"x", chunk_delay_s=0.02)

    error = failure(run, script, total_s=0.25)

    assert isinstance(error, UpstreamTimeoutError)
    assert "no complete answer within 0.25 s" in error.message


def test_a_timeout_does_not_outlive_its_exchange(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, first_byte_s=0.2, idle_s=0.2, total_s=0.2) as caller:
            assert (await caller.ask())[0] == 200
            await asyncio.sleep(0.15)
            assert (await caller.ask())[0] == 200
            await asyncio.sleep(0.15)
            assert (await caller.ask())[0] == 200

    with ScriptedProvider(default=Script(head_delay_s=0.05)) as provider:
        run(scenario(provider))

    assert provider.connections == 1


def test_reading_after_close_is_refused(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            response.close()
            with pytest.raises(UpstreamClosedError, match="after close"):
                await read_all(response)

    with ScriptedProvider() as provider:
        run(scenario(provider))
