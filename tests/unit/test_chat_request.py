"""What is read of a chat request, and the words for what cannot be."""

import json
from typing import Any

import pytest

from regulars.model.errors import CallerError
from regulars.wire.chat import OPENER_BYTES_MAX, opener, parse_chat

MESSAGES = [{"role": "user", "content": "hi"}]


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "a/b", "messages": MESSAGES, **fields}).encode()


def test_reads_the_fields_the_gateway_acts_on() -> None:
    request = parse_chat(body(user="u1", session_id="s1", stream=True))

    assert (request.model, request.user, request.session, request.stream) == (
        "a/b",
        "u1",
        "s1",
        True,
    )


def test_null_is_as_good_as_absent() -> None:
    request = parse_chat(body(user=None, session_id=None, stream=None))

    assert (request.user, request.session, request.stream) == (None, None, False)


def test_the_first_of_models_stands_in_for_a_missing_model() -> None:
    request = parse_chat(json.dumps({"models": ["x/y", "z"], "messages": MESSAGES}).encode())

    assert request.model == "x/y"


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "not valid JSON"),
        (b"hello", "not valid JSON"),
        (b"[1]", "not a JSON object"),
        (b'{"model": "a"} trailing', "not valid JSON"),
        (b'{"model": NaN}', "not valid JSON"),
        (b'{"model": "\xff"}', "not UTF-8"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
        (b'{"messages": [{}]}', "model: is missing"),
        (b'{"model": 7, "messages": [{}]}', "model: is not a string"),
        (b'{"model": "a"}', "messages: is missing"),
        (b'{"model": "a", "messages": []}', "messages: is not a list with at least one"),
        (b'{"model": "a", "messages": [ ] }', "messages: is not a list with at least one"),
        (b'{"model": "a", "messages": "hi"}', "messages: is not a list with at least one"),
        (b'{"model": "a", "messages": null}', "messages: is not a list with at least one"),
        (body(user=12), "user: is not a string"),
        (body(user={"id": 1}), "user: is not a string"),
        (body(session_id=1), "session_id: is not a string"),
        (body(stream="yes"), "stream: is not true or false"),
        (b'{"model":"a","messages":[{}],"user":"\\ud800"}', "a lone surrogate"),
        (json.dumps({str(n): n for n in range(600)}).encode(), "top-level fields"),
    ],
)
def test_bad_requests_are_told_precisely(sent: bytes, said: str) -> None:
    with pytest.raises(CallerError, match=said) as caught:
        parse_chat(sent)

    assert caught.value.status == 400


def test_errors_never_quote_content() -> None:
    with pytest.raises(CallerError) as caught:
        parse_chat(b'{"model": "a", "messages": "my secret prompt"}')

    assert "secret" not in caught.value.message


def test_the_opener_ends_with_the_first_message_that_is_not_the_systems() -> None:
    system = {"role": "system", "content": "be brief"}
    turn = [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "more"}]

    first = opener(parse_chat(body(messages=[system, *MESSAGES])))
    later = opener(parse_chat(body(messages=[system, *MESSAGES, *turn])))
    other = opener(parse_chat(body(messages=[system, {"role": "user", "content": "ho"}])))

    assert first == later
    assert first[0] == other[0]
    assert first[1] != other[1]


def test_tools_belong_to_what_a_conversation_shares() -> None:
    tool = {"type": "function", "function": {"name": "weather"}}

    assert opener(parse_chat(body(tools=[tool])))[0] != opener(parse_chat(body()))[0]


def test_a_long_conversation_keeps_its_opener() -> None:
    question = {"role": "user", "content": "é" * 100}
    short = parse_chat(body(messages=[question]))
    long = parse_chat(
        body(messages=[question, {"role": "assistant", "content": "x" * OPENER_BYTES_MAX}])
    )
    longer = parse_chat(
        body(messages=[question, {"role": "assistant", "content": "x" * 3 * OPENER_BYTES_MAX}])
    )

    assert opener(long) == opener(longer)
    assert opener(short)[0] == opener(long)[0]


def test_a_first_message_over_the_bound_is_told_apart_by_its_beginning() -> None:
    def ask(text: str) -> tuple[bytes, bytes]:
        return opener(parse_chat(body(messages=[{"role": "user", "content": text}])))

    tail = "x" * OPENER_BYTES_MAX

    assert ask("a" + tail) == ask("a" + tail + "more")
    assert ask("a" + tail) != ask("b" + tail)


def test_messages_that_are_no_objects_are_refused_when_looked_at() -> None:
    with pytest.raises(CallerError, match="each must be an object"):
        opener(parse_chat(body(messages=["hi"])))
