"""Heads that need not be read again, and those that do."""

import pytest

from regulars.http.asgi import Receive, Scope, Send
from regulars.http.repeated import (
    DIGITS_MAX,
    HEAD_BYTES_MAX,
    HELD_BODY_BYTES_MAX,
    RepeatedHead,
    cut_head,
)

HEAD = b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX-Id: 7\r\n\r\n"


async def nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Serve nothing."""


def learned(data: bytes = HEAD + b"abc") -> RepeatedHead:
    cut = cut_head(data)
    assert cut is not None
    return RepeatedHead(*cut, {}, nobody)


def test_a_head_is_cut_around_the_digits_of_its_length() -> None:
    cut = cut_head(HEAD + b"abc")

    assert cut == (
        b"POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: ",
        b"\r\nX-Id: 7\r\n\r\n",
    )


def test_the_same_head_with_another_length_gives_the_body() -> None:
    body = learned().body(HEAD.replace(b": 3", b": 11") + b"hello world")

    assert body == b"hello world"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HEAD + b"ab", id="not all of the body is here"),
        pytest.param(HEAD + b"abcPOST", id="more than one request"),
        pytest.param(HEAD[:30], id="part of a head"),
        pytest.param(HEAD, id="a head alone"),
        pytest.param(HEAD.replace(b"x-id: 7".title(), b"X-Id: 8") + b"abc", id="another header"),
        pytest.param(HEAD.replace(b"/v1/x", b"/v1/y") + b"abc", id="another path"),
        pytest.param(HEAD.replace(b": 3", b": +3") + b"abc", id="a sign"),
        pytest.param(HEAD.replace(b": 3", b": ") + b"abc", id="no digits"),
        pytest.param(HEAD.replace(b": 3", b": 3 ") + b"abc", id="a space behind"),
        pytest.param(HEAD.replace(b": 3", b": 3\r\nContent-Length: 3") + b"abc", id="said twice"),
        pytest.param(HEAD.replace(b": 3", b": \xb2") + b"ab", id="digits of another script"),
        pytest.param(
            HEAD.replace(b": 3", b": " + b"0" * DIGITS_MAX + b"3") + b"abc", id="too many digits"
        ),
    ],
)
def test_whatever_else_is_the_parsers(data: bytes) -> None:
    body = learned().body(data)

    assert body is None


def test_a_head_alone_is_known_by_its_other_digits() -> None:
    known = learned()

    alone = known.is_alone(HEAD.replace(b": 3", b": 2048"))

    assert alone


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HEAD + b"abc", id="with its body"),
        pytest.param(HEAD.replace(b": 3", b": 0"), id="no body"),
        pytest.param(HEAD.replace(b": 3", b": -1"), id="a sign"),
        pytest.param(HEAD.replace(b": 3", b": %d" % (HELD_BODY_BYTES_MAX + 1)), id="a large body"),
        pytest.param(HEAD.replace(b"Host: a", b"Host: b"), id="another header"),
        pytest.param(HEAD[:-2], id="not its end"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_other_bytes_are_no_head_alone(data: bytes) -> None:
    alone = learned().is_alone(data)

    assert not alone


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HEAD.replace(b"Content-Length: 3\r\n", b""), id="no length"),
        pytest.param(HEAD + b"abcd", id="more behind the body"),
        pytest.param(HEAD.replace(b"X-Id", b"Content-Length") + b"abc", id="length said twice"),
        pytest.param(HEAD.replace(b"X-Id: 7", b"Expect: 100-continue") + b"abc", id="expects"),
        pytest.param(HEAD.replace(b"X-Id", b"Upgrade") + b"abc", id="upgrades"),
        pytest.param(HEAD.replace(b"X-Id", b"Transfer-Encoding") + b"abc", id="encoded"),
        pytest.param(HEAD.replace(b"X-Id: 7", b" 7") + b"abc", id="a folded line"),
        pytest.param(HEAD.replace(b"7", b"7" * HEAD_BYTES_MAX) + b"abc", id="a long head"),
        pytest.param(b"garbage", id="no head"),
    ],
)
def test_heads_that_do_not_tell_all_are_not_learned(data: bytes) -> None:
    cut = cut_head(data)

    assert cut is None
