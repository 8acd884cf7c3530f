"""Cutting streams into events."""

import time

import pytest

from regulars.wire import sse
from regulars.wire.sse import EventCutter, EventTooLargeError


def cut(*pieces: bytes) -> list[bytes]:
    cutter = EventCutter()
    events = [event for piece in pieces for event in cutter.feed(piece)]
    return events + cutter.end()


def test_several_events_in_a_piece() -> None:
    assert cut(b"data: a\n\ndata: b\n\n") == [b"a", b"b"]


def test_an_event_in_several_pieces() -> None:
    assert cut(b"da", b"ta: a", b"b\n", b"\n") == [b"ab"]


def test_crlf_cut_in_the_middle() -> None:
    assert cut(b"data: a\r", b"\n\r\ndata: b\r\n\r\n") == [b"a", b"b"]


def test_comments_and_other_fields_are_dropped() -> None:
    assert cut(b": hello\n\nevent: x\nid: 1\ndata: a\n\n") == [b"a"]


def test_a_missing_space_and_several_data_lines() -> None:
    assert cut(b"data:a\ndata: b\n\n") == [b"a\nb"]


def test_a_last_event_without_its_blank_line() -> None:
    assert cut(b"data: a\n\ndata: [DONE]") == [b"a", b"[DONE]"]


def test_an_endless_event_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "EVENT_BYTES_MAX", 100)

    with pytest.raises(EventTooLargeError, match="over 100 bytes"):
        cut(b"data: " + b"x" * 101)


def test_an_event_of_megabytes_costs_no_more_than_its_pieces() -> None:
    pieces = [b"data: ", *[b"x" * 16_384] * 960, b"\n\n"]
    began = time.thread_time()

    events = cut(*pieces)

    assert [len(event) for event in events] == [960 * 16_384]
    assert time.thread_time() - began < 0.5  # 2.6 s where each piece copied all before it
