"""Where the bytes of a stream are cut changes nothing."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regulars.providers.openai import stream as stream_module
from regulars.providers.openai.stream import StreamReader
from regulars.wire.answers import Label

LABEL = Label(id="gen-1-x", created=1, model="our/model", provider="P")

texts = st.text(max_size=12)
usages = st.none() | st.fixed_dictionaries(
    {"prompt_tokens": st.integers(-5, 99), "completion_tokens": st.integers(0, 99)}
)


@st.composite
def chunks(draw: st.DrawFn) -> dict[str, Any]:
    delta = draw(st.fixed_dictionaries({}, optional={"content": texts, "reasoning_content": texts}))
    made: dict[str, Any] = {
        "id": draw(st.sampled_from(["a", "a", "a", "b", "", None])),
        "object": "chat.completion.chunk",
        "created": 5,
        "model": draw(st.sampled_from(["m", "m", "our/model"])),
        "choices": [
            {
                "index": 0,
                "delta": delta,
                "finish_reason": draw(st.sampled_from([None, None, None, "stop", "eos"])),
            }
        ],
    }
    if draw(st.booleans()):
        made["usage"] = draw(usages)
    return made


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    end = draw(st.sampled_from(["\n", "\r\n"]))
    parts: list[str] = []
    for one in draw(st.lists(chunks(), max_size=6)):
        spaced = draw(st.booleans())
        parts.append("data: " + json.dumps(one, separators=None if spaced else (",", ":")))
        if draw(st.booleans()):
            parts.append(": comment")
    if draw(st.booleans()):
        parts.append("data: [DONE]")
    return "".join(part + end + end for part in parts).encode()


def read(pieces: list[bytes]) -> tuple[Any, ...]:
    reader = StreamReader(LABEL)
    frames = b"".join([reader.feed(piece) for piece in pieces])
    frames += reader.end()
    sent = [json.loads(one[6:]) for one in frames.split(b"\n\n") if one]
    return sent, reader.usage, reader.finish_reason, reader.done, type(reader.error)


@settings(max_examples=300, deadline=None)
@given(stream=streams(), cuts=st.lists(st.integers(min_value=0, max_value=2000), max_size=12))
def test_reading_ignores_where_bytes_are_cut(stream: bytes, cuts: list[int]) -> None:
    marks = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(marks)]

    assert read(pieces) == read([stream])


@settings(max_examples=50, deadline=None)
@given(stream=streams())
def test_one_byte_at_a_time_is_no_different(stream: bytes) -> None:
    assert read([stream[i : i + 1] for i in range(len(stream))]) == read([stream])


@settings(max_examples=300, deadline=None)
@given(stream=streams())
def test_clients_never_see_a_foreign_id_or_usage(stream: bytes) -> None:
    for event in read([stream])[0]:
        assert event["id"] == "gen-1-x"
        assert event["model"] == "our/model"
        assert "usage" not in event


@settings(max_examples=300, deadline=None)
@given(garbage=st.binary(max_size=300))
def test_no_bytes_can_crash_the_reader(garbage: bytes) -> None:
    reader = StreamReader(LABEL)

    reader.feed(b"data: " + garbage + b"\n\n")
    reader.end()

    assert reader.chunks >= 0


@settings(max_examples=300, deadline=None)
@given(stream=streams(), cuts=st.lists(st.integers(min_value=0, max_value=4000), max_size=6))
def test_large_chunks_are_read_as_small_ones_are(stream: bytes, cuts: list[int]) -> None:
    for opened in (b'"content":"', b'"content": "'):
        stream = stream.replace(opened, opened + b"z" * 600)
    marks = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(marks)]
    expected = read([stream])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_module, "LARGE_BYTES", 300)

        assert read(pieces) == expected
