"""Whether a new id goes on with a conversation that another new id began."""

import json

from regulars.identity.continued import CONVERSATIONS_MAX, LOOKED_AT_BYTES_MAX, Conversations


def said(*turns: str) -> bytes:
    roles = ("user", "assistant")
    return json.dumps(
        [{"role": roles[at % 2], "content": turn} for at, turn in enumerate(turns)]
    ).encode()


def test_an_id_that_changes_with_each_request_is_found() -> None:
    known = Conversations()

    found = [
        known.continues("a", said(*turns))
        for turns in (("hi",), ("hi", "hello", "more"), ("hi", "hello", "more", "sure", "again"))
    ]

    assert found == [False, True, True]


def test_the_same_examples_in_every_prompt_are_no_conversation() -> None:
    known = Conversations()

    found = [
        known.continues("a", said("2+2?", "4", question)) for question in ("3+3?", "1+1?", "5+5?")
    ]

    assert found == [False, False, False]


def test_the_same_first_words_are_no_conversation() -> None:
    known = Conversations()

    assert [known.continues("a", said("hi")) for _ in range(3)] == [False, False, False]


def test_accounts_are_apart() -> None:
    known = Conversations()
    known.continues("a", said("hi"))

    assert not known.continues("b", said("hi", "hello", "more"))


def test_what_is_too_large_or_no_list_is_not_looked_at() -> None:
    known = Conversations()

    for messages in (b"", b"{}", b"[1]", b"[" * 50, b'["\xff"]', b" " * (LOOKED_AT_BYTES_MAX + 1)):
        assert not known.continues("a", messages)


def test_what_is_remembered_is_bounded() -> None:
    known = Conversations()
    known.continues("a", said("the first"))
    for number in range(CONVERSATIONS_MAX):
        known.continues("a", said(str(number)))

    assert not known.continues("a", said("the first", "hello", "more"))
    assert known.continues("a", said("19999", "hello", "more"))
