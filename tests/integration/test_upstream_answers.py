import asyncio
import gzip
import json

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.upstream_call import BODY, STREAM, Run, calling, on_both_loops, read_all
from regulars.config.settings import UpstreamSettings
from regulars.model.errors import UpstreamProtocolError, UpstreamTooLargeError

pytestmark = on_both_loops


def test_whole_answer_arrives_with_status_and_headers(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()

            assert await response.head()
            body = json.loads(await read_all(response))
            response.close()

        assert response.status == 201
        assert response.headers[b"x-mixed"] == b"Case"
        assert body["choices"][0]["message"]["content"] == "Hi"

    with ScriptedProvider(
        default=Script(text="Hi", status=201, headers={"X-Mixed": "Case"})
    ) as provider:
        run(scenario(provider))

    request = provider.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer secret-key"
    assert request.body == BODY


def test_stream_arrives_piece_by_piece(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send(STREAM)
            await response.head()
            pieces: list[bytes] = []
            while piece := await response.read():
                pieces.append(piece)
            response.close()

        assert len(pieces) > 3
        assert b"".join(pieces).endswith(b"data: [DONE]\n\n")

    with ScriptedProvider(default=Script(chunk_delay_s=0.01)) as provider:
        run(scenario(provider))


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("body", [b"", b"short", b"long " * 100_000], ids=["none", "short", "long"])
def test_every_framing_gives_the_same_body(run: Run, framing: str, body: bytes) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            assert await caller.ask() == (200, body)
            assert await caller.ask() == (200, body)

    with ScriptedProvider(default=Script(framing=framing, body=body)) as provider:  # pyright: ignore[reportArgumentType] - a parameter of literals
        run(scenario(provider))

    assert provider.connections == (2 if framing == "close" else 1)


def test_end_of_body_is_told_again_and_again(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            await read_all(response)

            assert await response.read() == b""
            response.close()
            response.close()

    with ScriptedProvider() as provider:
        run(scenario(provider))


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body_end_with_their_head(run: Run, status: int) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            assert await caller.ask() == (status, b"")
            assert caller.counts.idle == 1

    with ScriptedProvider(default=Script(status=status, body=b"")) as provider:
        run(scenario(provider))


def test_redirects_are_just_a_status(run: Run) -> None:
    script = Script(status=307, headers={"location": "http://127.0.0.1:1/"}, body=b"")

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            assert await caller.ask() == (307, b"")

    with ScriptedProvider(default=script) as provider:
        run(scenario(provider))


def test_interim_responses_are_skipped(run: Run) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            assert await response.head()
            assert response.status == 200
            assert b"link" not in response.headers
            assert await read_all(response) == b"ok"
            response.close()

    with ScriptedProvider(default=Script(body=b"ok", interim=interim, cut_every=20)) as provider:
        run(scenario(provider))


def test_repeated_headers_are_joined(run: Run) -> None:
    raw = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n"

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            assert response.headers[b"x-a"] == b"1, 2"
            response.close()

    with ScriptedProvider(default=Script(raw=raw)) as provider:
        run(scenario(provider))


def test_trailers_are_not_headers(run: Run) -> None:
    raw = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        b"2;note=1\r\nok\r\n0\r\nx-late: 1\r\n\r\n"
    )

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            assert await read_all(response) == b"ok"
            assert b"x-late" not in response.headers
            response.close()

    with ScriptedProvider(default=Script(raw=raw, cut_every=1, cut_pause_s=0)) as provider:
        run(scenario(provider))


def test_http_1_0_is_read_to_the_close_and_not_kept(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            assert await caller.ask() == (200, b"old")
            assert caller.counts.idle == 0

    with ScriptedProvider(default=Script(http="1.0", framing="close", body=b"old")) as provider:
        run(scenario(provider))


@pytest.mark.parametrize("compress", ["gzip", "deflate", "raw-deflate"])
@pytest.mark.parametrize("cut_every", [None, 7])
def test_compression_nobody_asked_for_is_undone(
    run: Run, compress: str, cut_every: int | None
) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            assert await caller.ask() == (200, b"pressed " * 50)
            assert caller.counts.idle == 1

    script = Script(compress=compress, body=b"pressed " * 50, cut_every=cut_every, cut_pause_s=0)  # pyright: ignore[reportArgumentType] - a parameter of literals
    with ScriptedProvider(default=script) as provider:
        run(scenario(provider))


def test_compressed_bodies_are_bounded_too(run: Run) -> None:
    limits = UpstreamSettings(body_limit_bytes=100_000, buffer_bytes=20_000)

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, limits=limits) as caller:
            with pytest.raises(UpstreamTooLargeError, match="100000"):
                await caller.ask()

    with ScriptedProvider(default=Script(compress="gzip", body=bytes(200_000))) as provider:
        run(scenario(provider))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("br", b"x"), ("gzip", b"not gzip"), ("gzip", gzip.compress(b"short")[:-3])],
)
def test_encodings_that_cannot_be_undone_are_protocol_errors(
    run: Run, encoding: str, body: bytes
) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            with pytest.raises(UpstreamProtocolError):
                await caller.ask()

    with ScriptedProvider(
        default=Script(headers={"content-encoding": encoding}, body=body)
    ) as provider:
        run(scenario(provider))


def test_large_requests_arrive_whole(run: Run) -> None:
    body = json.dumps({"model": "tiny", "messages": [], "pad": "x" * 5_000_000}).encode()

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            assert (await caller.ask(body))[0] == 200
            assert caller.counts.idle == 1

    with ScriptedProvider() as provider:
        run(scenario(provider))

    assert provider.requests[0].body == body


def test_answer_before_the_request_was_read_is_taken_and_the_connection_dropped(run: Run) -> None:
    body = b"x" * 20_000_000

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send(body)
            assert await response.head()
            assert response.status == 413
            assert await read_all(response) == b"too much"
            response.close()
            assert caller.counts.idle == 0

    with ScriptedProvider() as provider:
        provider.enqueue(Script(status=413, body=b"too much", answer_early=True))
        run(scenario(provider))


def test_many_answers_at_once_keep_apart(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            bodies = [json.dumps({"model": f"m{n}", "messages": []}).encode() for n in range(40)]
            answers = await asyncio.gather(*map(caller.ask, bodies))
            assert [json.loads(body)["model"] for _, body in answers] == [
                f"m{n}" for n in range(40)
            ]
            assert caller.counts.idle == caller.counts.open

    with ScriptedProvider(default=Script(cut_every=50)) as provider:
        run(scenario(provider))
