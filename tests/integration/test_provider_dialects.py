"""What real providers write that is not quite the common dialect: passed on whole, or told in words."""

import json
from collections.abc import Generator
from typing import Any

import pytest

from fakes.faulty_gateway import FaultyGateway, faulty_gateway
from fakes.provider import Script, ScriptedProvider
from regulars.model.generation import Outcome, UsageSource

BOM = b"\xef\xbb\xbf"
USAGE = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}


def chunk(text: str | None = None, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    delta = {} if text is None else {"content": text}
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    return {**base, "choices": choices, **fields}


def event(data: dict[str, Any] | bytes) -> bytes:
    return b"data: %b\n\n" % (data if isinstance(data, bytes) else json.dumps(data).encode())


def stream(*events: dict[str, Any] | bytes) -> bytes:
    return b"".join(map(event, events))


def with_fields(**fields: Any) -> bytes:
    """A stream each of whose chunks has these fields."""
    return stream(*(one if isinstance(one, bytes) else {**one, **fields} for one in PLAIN))


def answer(body: bytes, *lines: bytes, status: bytes = b"200 OK") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join((b"HTTP/1.1 " + status, length, *lines, b"", body))


PLAIN = [
    chunk("a"),
    chunk("b"),
    chunk("c"),
    chunk(finish="stop"),
    chunk(choices=[], usage=USAGE),
    b"[DONE]",
]
MESSAGE = {"role": "assistant", "content": "abc"}
WHOLE = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "tiny",
    "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
    "usage": USAGE,
}
WHOLE_BODY = json.dumps(WHOLE).encode()

STREAMS = {
    "byte-order-mark": BOM + stream(*PLAIN),
    "lines-of-other-fields": b"retry: 1\n\nevent: message\nid: 7\n" + stream(*PLAIN),
    "cr-only": stream(*PLAIN).replace(b"\n", b"\r"),
    "empty-data": b"data:\n\n" + stream(*PLAIN[:2], b"", b"  ", *PLAIN[2:]),
    "choices-null-beside-usage": stream(
        *PLAIN[:4], chunk(choices=None, usage=USAGE), b"[DONE]"
    ),
    "choices-null-first": stream(chunk(choices=None), *PLAIN),
    "content-filter-first": stream(
        {"id": "", "model": "", "object": "", "choices": [], "prompt_filter_results": []}, *PLAIN
    ),
    "ping": b'event: ping\ndata: {"type": "ping"}\n\n' + stream(*PLAIN),
    "no-error-in-text": with_fields(error=""),
    "no-error-in-object": with_fields(error={}),
    "error-false": with_fields(error=False),
    "answered-whole": WHOLE_BODY,
    "answered-whole-with-a-mark": BOM + WHOLE_BODY + b"\n",
}  # fmt: skip
WHOLES = {
    "byte-order-mark": BOM + WHOLE_BODY,
    "lines-to-keep-alive": b"\n\n \r\n" + WHOLE_BODY,
    "no-error-in-text": json.dumps({**WHOLE, "error": ""}).encode(),
    "no-error-in-object": json.dumps({**WHOLE, "error": {}}).encode(),
    "not-a-number": json.dumps({**WHOLE, "score": float("nan")}).encode(),
}
CODINGS = ("none", "utf-8", "")
BROKEN = {
    "lone-surrogate": (b"\\ud83d", "\N{REPLACEMENT CHARACTER}"),
    "surrogates-in-pairs": (b"\\ud83d\\ude00", "\N{GRINNING FACE}"),
    "not-utf-8": (b"\xf0\x9f", "\N{REPLACEMENT CHARACTER}"),
    "control": (b"\x01", "\x01"),
}
ERRORS = {
    "code-in-text": ({"error": {"message": "slow", "code": "429"}}, 429, "slow"),
    "object-of-errors": ({"object": "error", "message": "too long", "code": 400}, 400, "too long"),
    "error-event": ({"message": "lost the gpu", "code": 503}, 503, "lost the gpu"),
    "text": ({"error": "kaputt"}, 502, "kaputt"),
}
REFUSALS = {
    "in-a-list": b'[{"error": {"code": 400, "message": "no such voice"}}]',
    "with-a-mark": BOM + b'{"error": {"message": "no such voice"}}',
}


@pytest.fixture(scope="module")
def dialects(tmp_path_factory: pytest.TempPathFactory) -> Generator[FaultyGateway]:
    names = [
        *(f"s-{name}" for name in (*STREAMS, *CODINGS, *BROKEN, *ERRORS, *REFUSALS)),
        *(f"w-{name}" for name in (*WHOLES, *CODINGS, *BROKEN, *ERRORS, *REFUSALS)),
        *(f"j-{name}" for name in ERRORS),
        "tools",
        "late",
        "words",
        "page",
    ]
    with (
        ScriptedProvider() as provider,
        faulty_gateway(tmp_path_factory.mktemp("dialects"), provider, names=names) as running,
    ):
        yield running


@pytest.mark.parametrize("cut_every", [None, 1, 7])
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_in_a_dialect_is_passed_on_whole(
    dialects: FaultyGateway, name: str, cut_every: int | None
) -> None:
    script = Script(raw=answer(STREAMS[name]), cut_every=cut_every, cut_pause_s=0.0)

    seen = dialects.meet(f"s-{name}", script, stream=True)

    assert seen.answer.status == 200
    assert seen.answer.text == "abc"
    assert seen.answer.data[-1] == "[DONE]"
    assert seen.answer.events[-1]["usage"]["completion_tokens"] == 3
    assert (seen.rows_added, seen.row.outcome) == (1, Outcome.COMPLETED)
    assert seen.row.finish_reason == "stop"
    assert seen.row.usage_source is UsageSource.REPORTED


@pytest.mark.parametrize("name", WHOLES)
def test_a_whole_answer_in_a_dialect_is_passed_on(dialects: FaultyGateway, name: str) -> None:
    seen = dialects.meet(f"w-{name}", Script(raw=answer(WHOLES[name])), stream=False)

    assert seen.answer.status == 200
    assert seen.answer.json["choices"][0]["message"] == MESSAGE
    assert (seen.rows_added, seen.row.outcome) == (1, Outcome.COMPLETED)
    assert seen.row.usage_source is UsageSource.REPORTED


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_content_encoding_that_is_none_is_no_fault(
    dialects: FaultyGateway, coding: str, streamed: bool
) -> None:
    body = stream(*PLAIN) if streamed else WHOLE_BODY
    script = Script(raw=answer(body, b"Content-Encoding: " + coding.encode()))

    seen = dialects.meet(f"{'s' if streamed else 'w'}-{coding}", script, stream=streamed)

    assert seen.answer.status == 200
    assert seen.row.outcome is Outcome.COMPLETED


@pytest.mark.parametrize("name", BROKEN)
def test_broken_characters_are_mended_where_the_answer_is_read(
    dialects: FaultyGateway, name: str
) -> None:
    written, mended = BROKEN[name]
    first = event(chunk("@b")).replace(b"@", written)
    streamed = first + stream(*PLAIN[3:])
    whole = WHOLE_BODY.replace(b"abc", b"a%bc" % written)

    stream_seen = dialects.meet(f"s-{name}", Script(raw=answer(streamed)), stream=True)
    whole_seen = dialects.meet(f"w-{name}", Script(raw=answer(whole)), stream=False)

    assert stream_seen.answer.text == f"{mended}b"
    assert whole_seen.answer.json["choices"][0]["message"]["content"] == f"a{mended}c"
    assert [seen.row.outcome for seen in (stream_seen, whole_seen)] == [Outcome.COMPLETED] * 2


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_under_200_is_told_in_its_own_words(dialects: FaultyGateway, name: str) -> None:
    said, status, words = ERRORS[name]
    body = json.dumps(said).encode()
    seen = [
        dialects.meet(f"w-{name}", Script(raw=answer(body)), stream=False),
        dialects.meet(f"j-{name}", Script(raw=answer(body)), stream=True),
        dialects.meet(
            f"s-{name}", Script(raw=answer(b"event: error\n" + event(body))), stream=True
        ),
    ]

    assert [one.answer.status for one in seen] == [status] * 3
    assert [words in one.answer.json["error"]["message"] for one in seen] == [True] * 3
    assert [(one.rows_added, one.row.outcome) for one in seen] == [(1, Outcome.FAILED)] * 3


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"", b'{"hello": "world"}'])
def test_what_is_no_stream_is_called_so(dialects: FaultyGateway, page: bytes) -> None:
    seen = dialects.meet("page", Script(raw=answer(page)), stream=True)

    assert seen.answer.status == 502
    assert "no stream" in seen.answer.json["error"]["message"]
    assert seen.row.outcome is Outcome.FAILED


def test_an_error_without_its_name_ends_a_stream_that_has_begun(dialects: FaultyGateway) -> None:
    lost = b'event: error\ndata: {"message": "lost the gpu"}\n\n'
    script = Script(raw=answer(event(chunk("a")) + lost))

    seen = dialects.meet("late", script, stream=True)

    assert seen.answer.text == "a"
    assert "lost the gpu" in seen.answer.events[-1]["error"]["message"]
    assert seen.row.outcome is Outcome.FAILED


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_a_refusal_is_passed_on_in_its_own_words(
    dialects: FaultyGateway, name: str, streamed: bool
) -> None:
    script = Script(raw=answer(REFUSALS[name], status=b"400 Bad Request"))

    seen = dialects.meet(f"{'s' if streamed else 'w'}-{name}", script, stream=streamed)

    assert seen.answer.status == 400
    assert "no such voice" in seen.answer.json["error"]["message"]


def test_tools_of_an_answer_that_came_whole_are_numbered_as_deltas(dialects: FaultyGateway) -> None:
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, {**call, "id": "u"}]}
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    body = json.dumps({**WHOLE, "choices": choices}).encode()

    seen = dialects.meet("tools", Script(raw=answer(body)), stream=True)

    delta = seen.answer.events[0]["choices"][0]["delta"]
    assert [(one["index"], one["id"]) for one in delta["tool_calls"]] == [(0, "t"), (1, "u")]
    assert seen.row.finish_reason == "tool_calls"


@pytest.mark.parametrize("words", ["x" * 20_000, "a\0b\n"], ids=["long", "unprintable"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_words_where_names_should_be_are_not_kept(
    dialects: FaultyGateway, words: str, streamed: bool
) -> None:
    counted = chunk(choices=[], usage=USAGE, id=words)
    chunks = [chunk("a", id=words), chunk(finish=words, id=words), counted, b"[DONE]"]
    choices = [{"index": 0, "message": MESSAGE, "finish_reason": words}]
    whole = json.dumps({**WHOLE, "id": words, "choices": choices}).encode()
    body = stream(*chunks) if streamed else whole

    seen = dialects.meet("words", Script(raw=answer(body)), stream=streamed)

    assert seen.row.outcome is Outcome.COMPLETED
    assert (seen.row.upstream_id, seen.row.native_finish_reason) == (None, None)
    assert seen.row.finish_reason == "stop"
