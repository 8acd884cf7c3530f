"""Chunks that pass unread give the client what reading them would have given."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fakes.provider import Script, ScriptedProvider
from fakes.upstream_call import STREAM, calling
from regulars.exchange.exchange import Accepted, Exchange
from regulars.gateway.passage import Passage
from regulars.providers.openai.stream import StreamReader
from regulars.wire.answers import Label

LABEL = Label(id="gen-1-x", created=1, model="our/model", provider="P")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
SIZES: dict[str, Callable[[int], bytes]] = {
    "lower": lambda size: b"%x" % size,
    "upper": lambda size: b"%X" % size,
    "zeros": lambda size: b"%04x" % size,
    "extension": lambda size: b"%x;a=b" % size,
}


class Collected:
    """A client that takes everything: what `frames` gets and what is written directly."""

    started = False
    gone = False
    is_full = False
    write_paused = False

    def __init__(self) -> None:
        self.read: list[bytes] = []
        self.unread: list[bytes] = []
        self.all = b""

    @property
    def direct(self) -> tuple[Callable[[bytes], None], "Collected"]:
        return self._write, self

    def _write(self, framed: bytes) -> None:
        size, rest = framed.split(b"\r\n", 1)
        assert len(rest) == int(size, 16) + 2
        assert rest.endswith(b"\r\n")
        self.unread.append(rest[:-2])
        self.all += rest[:-2]

    def frames(self, generation_id: str, frames: bytes) -> bool:
        assert generation_id == LABEL.id
        self.read.append(frames)
        self.all += frames
        return True

    def on_gone(self, call: Callable[[], None]) -> None:
        raise NotImplementedError

    def whole(self, generation_id: str, body: bytes) -> None:
        raise NotImplementedError

    async def drain(self) -> None:
        raise NotImplementedError

    def end(self, frames: bytes) -> None:
        raise NotImplementedError


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


def event(text: str, *, ends: bool = False) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": "stop" if ends else None}
    body = {"id": "a", "object": "chat.completion.chunk", "created": 5, "model": "m"}
    return b"data: %b\n\n" % json.dumps(body | {"choices": [choice]}).encode()


def chunked(events: list[bytes], style: str) -> bytes:
    size = SIZES[style]
    return b"".join(b"%b\r\n%b\r\n" % (size(len(one)), one) for one in events)


def passed(provider: ScriptedProvider, script: Script) -> tuple[Collected, StreamReader]:
    """Pass a stream on; return what the client got and what was counted."""

    async def scenario() -> tuple[Collected, StreamReader]:
        client, reader = Collected(), StreamReader(LABEL)
        accepted = Accepted(
            id=LABEL.id,
            created_at_us=1,
            at_s=0.0,
            account="a",
            key_hash="k",
            model="m",
            streamed=True,
            prompt_bytes=1,
            end_user=None,
            session=None,
            app=None,
            referer=None,
            user_agent=None,
        )
        passage = Passage(reader, client, Exchange(accepted), None)
        async with calling(provider) as caller:
            response = await caller.send(STREAM)
            await response.head()
            while not await response.pump(passage) and not reader.done:
                assert reader.error is None
            response.close()
        rest = reader.end()
        client.all += rest
        return client, reader

    provider.enqueue(script)
    return uvloop.run(scenario())


def shown(frames: bytes) -> list[dict[str, Any]]:
    return [json.loads(one.removeprefix(b"data: ")) for one in frames.split(b"\n\n") if one]


TEXTS = st.lists(st.text(max_size=20), min_size=1, max_size=8)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=TEXTS,
    cuts=st.lists(st.integers(len(HEAD), 1800), max_size=8),
    style=st.sampled_from(sorted(SIZES)),
    together=st.integers(1, 3),
)
@example(texts=["a", "b", "c"], cuts=[], style="lower", together=1)
def test_where_chunks_are_cut_and_how_their_sizes_are_written_changes_nothing(
    provider: ScriptedProvider, texts: list[str], cuts: list[int], style: str, together: int
) -> None:
    events = [event(text) for text in texts] + [event("", ends=True), b"data: [DONE]\n\n"]
    joined = [b"".join(events[at : at + together]) for at in range(0, len(events), together)]
    raw = HEAD + chunked(joined, style) + b"0\r\n\r\n"
    slow = StreamReader(LABEL)

    client, reader = passed(provider, Script(raw=raw, cuts=cuts, cut_pause_s=0.001))

    assert shown(client.all) == shown(slow.feed(b"".join(events)) + slow.end())
    assert (reader.chunks, reader.finish_reason) == (slow.chunks, slow.finish_reason)
    assert abs(reader.content_bytes - slow.content_bytes) <= 4 * len(texts)


@pytest.mark.parametrize("style", ["lower", "upper", "zeros"])
def test_chunks_that_come_one_by_one_pass_unread(provider: ScriptedProvider, style: str) -> None:
    events = [event(f"word {number} ") for number in range(40)] + [b"data: [DONE]\n\n"]
    raw = HEAD + chunked(events, style) + b"0\r\n\r\n"
    ends = [len(HEAD) + len(chunked(events[:count], style)) for count in range(len(events))]

    client, _ = passed(provider, Script(raw=raw, cuts=ends, cut_pause_s=0.005))

    assert len(client.unread) >= 20
    assert len(shown(client.all)) == 40


def test_a_size_that_is_cut_within_its_digits_is_not_mistaken(provider: ScriptedProvider) -> None:
    first, inner = event("first"), event("x" * 9)
    size = b"%x" % len(inner)
    # A chunk of 0x1.. bytes, cut after its 1: what comes then looks like a whole smaller chunk.
    large = int(b"1" + size, 16)
    filler = inner + b"\r\n"
    filler += b": comment " + b"." * (large - len(filler) - 12) + b"\n\n"
    assert len(filler) == large
    raw = HEAD + chunked([first], "lower") + b"1" + chunked([filler], "lower")[1:]
    raw += chunked([event("last"), b"data: [DONE]\n\n"], "lower") + b"0\r\n\r\n"
    cut = len(HEAD) + len(chunked([first], "lower")) + 1

    client, _ = passed(provider, Script(raw=raw, cuts=[cut, cut + len(chunked([inner], "lower"))]))

    said = [one["choices"][0]["delta"]["content"] for one in shown(client.all)]
    assert said == ["first", "x" * 9, "last"]
    assert not client.unread[:1] or b"last" in client.unread[0]
