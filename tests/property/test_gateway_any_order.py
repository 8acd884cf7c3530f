"""Whatever a provider does in whatever order: one row, and an answer a client can read."""

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.faulty_gateway import FaultyGateway, Seen, faulty_gateway
from fakes.provider import Script, ScriptedProvider
from regulars.model.generation import Outcome

CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
MODELS = 400
"""One for each example and more, so that no endpoint's standing carries over."""


def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {**CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


events = st.sampled_from(
    [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "word "}),
        chunk({"content": "más 🙂"}),
        chunk({"reasoning_content": "hm"}),
        chunk({}, "stop"),
        chunk({}, "length"),
        {**chunk({}, "stop"), "usage": USAGE},
        {**CHUNK, "choices": [], "usage": USAGE},
        {**CHUNK, "choices": [], "usage": {"prompt_tokens": -4, "completion_tokens": 1e300}},
        {"error": {"message": "broke", "code": 503}},
        {"error": "broke"},
        {"unknown": [1, 2]},
        "[DONE]",
        "{half",
        "",
        "null",
        "[]",
    ]
)
positions = st.none() | st.integers(0, 1500)
scripts = st.builds(
    Script,
    status=st.sampled_from([200, 200, 200, 200, 404, 429, 500]),
    events=st.lists(events, max_size=8),
    newline=st.sampled_from(["\n", "\r\n"]),
    comment=st.sampled_from([None, "ping"]),
    events_per_write=st.integers(1, 4),
    framing=st.sampled_from(["length", "chunked", "close"]),
    cuts=st.lists(st.integers(0, 1500), max_size=6),
    cut_pause_s=st.just(0.0),
    reset_after=positions,
    close_after=positions,
    close_quietly=st.booleans(),
)


def raw_script(head: bytes, body: bytes) -> Script:
    return Script(raw=head + body)


raw_scripts = st.builds(
    raw_script,
    st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]),
    st.binary(max_size=200),
)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Generator[FaultyGateway]:
    names = [f"model-{number}" for number in range(MODELS)]
    with (
        ScriptedProvider() as provider,
        faulty_gateway(tmp_path_factory.mktemp("order"), provider, names=names) as running,
    ):
        yield running


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(script=scripts | raw_scripts, stream=st.booleans())
def test_any_order_of_events_is_one_row_and_a_readable_answer(
    faulty: FaultyGateway, script: Script, stream: bool
) -> None:
    name = f"model-{faulty.row_count() % MODELS}"

    # A connection that dies unheard gets one silent second try: `default` answers both alike.
    seen = faulty.meet(name, replace(script), stream=stream)

    assert seen.rows_added == 1
    assert len(seen.row.attempts) == 1
    check_readable(seen)


def check_readable(seen: Seen) -> None:
    """A JSON answer, a JSON error, or a stream that ends in [DONE] or in an error frame."""
    answer, row = seen.answer, seen.row
    if answer.headers["content-type"] == "application/json":
        body = answer.json
        assert ("error" in body) == (answer.status != 200)
        assert (row.outcome is Outcome.COMPLETED) == (answer.status == 200)
        if answer.status != 200:
            assert (body["error"]["code"], row.status) == (answer.status, answer.status)
            assert row.outcome is Outcome.FAILED
        return
    assert answer.status == 200
    assert answer.body.endswith(b"\n\n")
    for block in answer.body.decode().removesuffix("\n\n").split("\n\n"):
        assert block.startswith((": ", "data: "))
    ended = answer.data[-1] == "[DONE]"
    failed = not ended and "error" in json.loads(answer.data[-1])
    assert ended != failed
    assert row.outcome is (Outcome.COMPLETED if ended else Outcome.FAILED)
    assert {event["id"] for event in answer.events} == {row.id}
