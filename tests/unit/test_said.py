"""What answers say in words, out of their bytes."""

import json
from typing import Any

from regulars.wire.said import said_in_frames, said_whole


def frame(index: int = 0, **delta: Any) -> bytes:
    chunk = {"choices": [{"index": index, "delta": delta, "finish_reason": None}]}
    return f"data: {json.dumps(chunk)}\n\n".encode()


def test_a_stream_is_put_together() -> None:
    frames = b"".join(
        (
            b": OPENROUTER PROCESSING\n\n",
            frame(role="assistant", reasoning="Hm"),
            frame(reasoning="m."),
            frame(content="Hel"),
            frame(content="other", index=1),
            frame(content="lo"),
            b'data: {"choices":[],"usage":{}}\n\n',
            b"data: [DONE]\n\n",
        )
    )

    assert said_in_frames(frames) == ("Hello", "Hmm.")


def test_of_a_cut_stream_the_beginning_counts() -> None:
    assert said_in_frames(frame(content="Hello") + frame(content=" you")[:-9]) == ("Hello", None)
    assert said_in_frames(frame(content="Hello") + b"data: {\n\n") == ("Hello", None)
    assert said_in_frames(b"data: 1\n\n") == (None, None)


def test_a_whole_answer_is_its_first_choice() -> None:
    choices = [
        {"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}], "reasoning": "c"}},
        {"message": {"content": "other"}},
    ]

    assert said_whole(json.dumps(choices).encode()) == ("ab", "c")
    assert said_whole(b"[]") == (None, None)
    assert said_whole(b'[{"message": null}]') == (None, None)


def test_a_cut_answer_is_given_as_it_stands() -> None:
    assert said_whole(b'[{"message": {"content": "Hel') == ('[{"message": {"content": "Hel', None)
