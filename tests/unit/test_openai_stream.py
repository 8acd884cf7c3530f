"""Streams of the common dialect: what the client gets and what the ledger learns."""

import json
from typing import Any

import pytest

from regulars.model.errors import UpstreamProtocolError, UpstreamStatusError
from regulars.model.tokens import Usage
from regulars.providers.openai.stream import StreamReader
from regulars.wire.answers import Label

LABEL = Label(id="gen-1-x", created=1700000000, model="meta/llama", provider="Alpha")


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any
) -> dict[str, Any]:
    return {
        "id": "chatcmpl-9",
        "object": "chat.completion.chunk",
        "created": 1699999999,
        "model": "llama-3",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        **fields,
    }


def sse(*chunks: dict[str, Any], compact: bool = True) -> bytes:
    separators = (",", ":") if compact else None
    return b"".join(
        b"data: " + json.dumps(one, separators=separators).encode() + b"\n\n" for one in chunks
    )


def events(frames: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in frames.split(b"\n\n") if line]


PLAIN = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": "Hel"}),
    chunk({"content": "lo"}),
    chunk({}, "stop"),
]
USAGE = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 5}}


@pytest.mark.parametrize("compact", [True, False])
def test_every_chunk_carries_our_names(compact: bool) -> None:
    reader = StreamReader(LABEL)

    sent = events(reader.feed(sse(*PLAIN, compact=compact)))

    assert {(e["id"], e["model"], e["provider"]) for e in sent} == {
        ("gen-1-x", "meta/llama", "Alpha")
    }
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in sent) == "Hello"


def test_plain_chunks_pass_as_their_own_bytes() -> None:
    reader = StreamReader(LABEL)
    reader.feed(sse(*PLAIN[:2]))
    odd = sse(chunk({"content": "x"}, logprobs=None)).replace(b'"x"', b'"\\u0078"')

    frame = reader.feed(odd)

    assert b"\\u0078" in frame


def test_text_that_looks_like_our_fields_is_left_alone() -> None:
    text = '"id":"chatcmpl-9","model":"llama-3","error":1,"usage":{"finish_reason":"stop"}'
    reader = StreamReader(LABEL)
    reader.feed(sse(*PLAIN[:2]))

    sent = events(reader.feed(sse(chunk({"content": text}))))

    assert sent[0]["choices"][0]["delta"]["content"] == text
    assert reader.error is None
    assert reader.finish_reason is None


def test_nothing_comes_before_the_first_content() -> None:
    reader = StreamReader(LABEL)

    held = reader.feed(sse(PLAIN[0]))
    first = reader.feed(sse(PLAIN[1]))

    assert held == b""
    assert [e["choices"][0]["delta"] for e in events(first)] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
    ]


@pytest.mark.parametrize(
    "closing",
    [
        [chunk({}, "stop"), chunk(usage=USAGE) | {"choices": []}],
        [chunk({}, "stop", usage=USAGE)],
        [chunk({}, "stop", usage=USAGE), chunk(usage=USAGE) | {"choices": []}],
    ],
    ids=["last-chunk", "finish-chunk", "twice"],
)
def test_usage_is_taken_out_wherever_it_stands(closing: list[dict[str, Any]]) -> None:
    reader = StreamReader(LABEL)

    frames = reader.feed(sse(*PLAIN[:3], *closing) + b"data: [DONE]\n\n")

    assert reader.usage == Usage(7, 2, cached_tokens=5)
    assert reader.done
    assert all("usage" not in event for event in events(frames))
    assert events(frames)[-1]["choices"][0]["finish_reason"] == "stop"


def test_usage_in_every_chunk_keeps_the_last() -> None:
    reader = StreamReader(LABEL)
    growing = [one | {"usage": {**USAGE, "completion_tokens": n}} for n, one in enumerate(PLAIN)]

    frames = reader.feed(sse(*growing))

    assert reader.usage == Usage(7, 3, cached_tokens=5)
    assert b"usage" not in frames


def test_a_null_usage_does_not_reach_the_client() -> None:
    reader = StreamReader(LABEL)

    frames = reader.feed(sse(*[one | {"usage": None} for one in PLAIN]))

    assert b"usage" not in frames
    assert len(events(frames)) == 4


def test_native_finish_reasons_are_mapped_and_kept() -> None:
    reader = StreamReader(LABEL)

    sent = events(reader.feed(sse(PLAIN[1], chunk({}, "eos"))))

    assert sent[-1]["choices"][0]["finish_reason"] == "stop"
    assert sent[-1]["choices"][0]["native_finish_reason"] == "eos"
    assert (reader.finish_reason, reader.native_finish_reason) == ("stop", "eos")


def test_reasoning_content_gets_openrouters_name() -> None:
    reader = StreamReader(LABEL)

    sent = events(reader.feed(sse(chunk({"reasoning_content": "hm"}), PLAIN[1])))

    assert sent[0]["choices"][0]["delta"] == {"reasoning": "hm"}


def test_an_error_inside_the_stream_stops_it_after_what_was_good() -> None:
    reader = StreamReader(LABEL)
    error = {"error": {"code": 429, "message": "slow down"}}

    frames = reader.feed(sse(*PLAIN[:2], error, PLAIN[2]))

    assert len(events(frames)) == 2
    assert isinstance(reader.error, UpstreamStatusError)
    assert reader.error.status == 429
    assert "slow down" in reader.error.message


def test_garbage_is_an_error_not_a_crash() -> None:
    reader = StreamReader(LABEL)

    reader.feed(b"data: <html>\n\n")

    assert isinstance(reader.error, UpstreamProtocolError)


def test_missing_fields_are_filled_in() -> None:
    reader = StreamReader(LABEL)
    bare = {"choices": [{"delta": {"content": "x"}}]}

    sent = events(reader.feed(sse(bare, bare)))

    assert sent[1] == {
        "id": "gen-1-x",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "meta/llama",
        "provider": "Alpha",
        "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": None}],
    }


def test_an_upstream_that_changes_its_id_is_followed() -> None:
    reader = StreamReader(LABEL)
    reader.feed(sse(*PLAIN[:2]))

    sent = events(reader.feed(sse(PLAIN[2] | {"id": "other", "model": "llama-4"})))

    assert (sent[0]["id"], sent[0]["model"]) == ("gen-1-x", "meta/llama")


def test_a_cut_stream_is_counted_by_what_was_seen() -> None:
    reader = StreamReader(LABEL)

    for _ in range(50):
        reader.feed(sse(chunk({"content": "four"})))

    assert 200 <= reader.content_bytes <= 260


def test_bytes_that_are_no_events_never_pass() -> None:
    reader = StreamReader(LABEL)

    assert reader.feed(b"\0 hostile \0") == b""


def test_chunks_that_differ_in_their_text_alone_pass_in_one_mould() -> None:
    texts = ["a", "bc", "", "d\\e", 'f"g', "\u00e9", "\n", "h"]
    chunks = [chunk({"content": text}, usage=None, logprobs=None) for text in texts]
    pieced, whole = StreamReader(LABEL), StreamReader(LABEL)

    frames = b"".join(pieced.feed(sse(one)) for one in chunks)

    assert "".join(e["choices"][0]["delta"]["content"] for e in events(frames)) == "".join(texts)
    assert events(frames) == events(whole.feed(sse(*chunks)))
    assert pieced.chunks == whole.chunks == len(texts)
