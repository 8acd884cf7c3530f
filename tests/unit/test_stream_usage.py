"""Where a stream says what it used, and what counts when it says so too early."""

from typing import Any

import pytest

from regulars.model.tokens import Usage
from regulars.providers.openai.stream import StreamReader
from unit.test_openai_stream import LABEL, PLAIN, USAGE, chunk, events, sse

FINISH = chunk({}, "stop")
GROQ = {"x_groq": {"id": "req_1", "usage": USAGE}}


def in_choice(one: dict[str, Any]) -> dict[str, Any]:
    """Say usage as Moonshot does."""
    return one | {"choices": [one["choices"][0] | {"usage": USAGE}]}


@pytest.mark.parametrize("last", [in_choice(FINISH), FINISH | GROQ], ids=["moonshot", "groq"])
def test_usage_is_found_where_moonshot_and_groq_say_it(last: dict[str, Any]) -> None:
    reader = StreamReader(LABEL)

    frames = reader.feed(sse(*PLAIN[:3], last))

    assert reader.usage == Usage(7, 2, cached_tokens=5)
    assert not reader.counted_early
    assert b"usage" not in frames
    assert events(frames)[-1]["choices"][0]["finish_reason"] == "stop"


def test_the_common_place_counts_before_others() -> None:
    reader = StreamReader(LABEL)

    reader.feed(sse(*PLAIN[:3], in_choice(FINISH) | {"usage": USAGE | {"completion_tokens": 9}}))

    assert reader.usage == Usage(7, 9, cached_tokens=5)


@pytest.mark.parametrize(
    ("chunks", "early"),
    [
        ([chunk({"content": "a"}, usage=USAGE), chunk({"content": "b"})], True),
        ([chunk({"content": "a"}), chunk({"content": "b"}, usage=USAGE)], False),
        ([chunk({"content": "a"}, usage=USAGE), chunk({"content": "b"}), FINISH], False),
        ([chunk({"content": "a"}), chunk({"content": "b"}, "stop", usage=USAGE)], False),
        (
            [
                chunk({"role": "assistant"}, usage=USAGE | {"completion_tokens": 0}),
                chunk({"content": "b"}),
                FINISH,
            ],
            True,
        ),
        ([chunk({"content": "a"}), chunk({"content": "b"})], False),
    ],
    ids=[
        "cut after more content",
        "cut, counted to its end",
        "whole, told ahead",
        "whole, in its last chunk",
        "whole, none counted",
        "never said",
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_count_that_content_came_after_is_known_as_early(
    chunks: list[dict[str, Any]], *, early: bool, at_once: bool
) -> None:
    reader = StreamReader(LABEL)

    for piece in [sse(*chunks)] if at_once else [sse(one) for one in chunks]:
        reader.feed(piece)

    assert reader.counted_early is early
