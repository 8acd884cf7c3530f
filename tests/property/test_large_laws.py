import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from regulars.upstream.large_request import WRITE_BYTES, batches
from regulars.wire import sse
from regulars.wire.large import HITS_MAX, check_utf8, long_string, names_cache_control
from regulars.wire.pieces import body_bytes, object_pieces
from regulars.wire.sse import EventCutter

KEY = b'"cache_control"'
NEARLY = st.sampled_from([b"_", b'"cache_control', b'cache_control"', b"x", b'"', b'"cache'])
FEW_OR_MANY = st.integers(0, 3) | st.integers(HITS_MAX - 2, HITS_MAX + 2)
CUTS = st.integers(65_536 - 5, 65_536 + 1)
CHARACTERS = st.sampled_from(["é", "今", "🙂", "x"])


def complaint(text: bytes) -> str | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return str(error)
    return None


def complaint_of_slices(text: bytes) -> str | None:
    try:
        check_utf8(text)
    except UnicodeDecodeError as error:
        return str(error)
    return None


@given(
    before=st.lists(NEARLY, max_size=8).map(b"".join),
    underscores=FEW_OR_MANY,
    key=st.sampled_from([b"", KEY]),
    after=st.lists(NEARLY, max_size=8).map(b"".join),
)
def test_a_cache_control_is_seen_wherever_it_stands(
    before: bytes, underscores: int, key: bytes, after: bytes
) -> None:
    body = before + b"_" * underscores + key + after

    assert names_cache_control(body) is (KEY in body)
    assert names_cache_control(bytearray(body)) is (KEY in body)


@given(
    text=st.lists(st.sampled_from(['"', '""', "x", "\\", "y" * 20]), max_size=12).map(
        lambda parts: "".join(parts).encode()
    )
)
def test_the_long_string_is_most_of_a_text_and_without_a_quote(text: bytes) -> None:
    found = long_string(text)

    runs = [len(run) for run in text.split(b'"')[1:-1]]
    assert (found is not None) == any(2 * run > len(text) for run in runs)
    if found is not None:
        start, end = found
        assert 2 * (end - start) > len(text)
        assert b'"' not in text[start:end]
        assert text[start - 1 : start] == text[end : end + 1] == b'"'


@given(before=CUTS, text=st.text(CHARACTERS, max_size=20), spoilt=st.binary(max_size=6))
def test_slices_are_utf_8_where_the_whole_is(before: int, text: str, spoilt: bytes) -> None:
    body = b"x" * before + text.encode() + spoilt + text.encode()

    assert complaint_of_slices(body) == complaint(body)


@given(before=CUTS, spoilt=st.binary(min_size=1, max_size=9), after=st.binary(max_size=9))
def test_the_first_byte_that_is_not_utf_8_is_told(before: int, spoilt: bytes, after: bytes) -> None:
    body = b"x" * before + spoilt + after + b"\xf0" * 70_000

    assert complaint_of_slices(body) == complaint(body)


@given(
    values=st.dictionaries(
        st.text(max_size=8), st.integers(0, 200).map(lambda size: b"1" * max(1, size * 1000))
    )
)
def test_an_object_in_pieces_is_the_object(values: dict[str, bytes]) -> None:
    fields = {name: Raw(value) for name, value in values.items()}

    pieces = object_pieces(fields)

    assert b"".join(pieces) == msgspec.json.encode(fields)
    assert body_bytes(pieces) == len(msgspec.json.encode(fields))


@given(sizes=st.lists(st.integers(0, 3 * WRITE_BYTES), max_size=5))
def test_batches_are_bounded_and_say_the_whole(sizes: list[int]) -> None:
    pieces = tuple(bytes([65 + at]) * size for at, size in enumerate(sizes))

    batched = [b"".join(batch) for batch in reversed(batches(b"head", pieces))]

    assert b"".join(batched) == b"head" + b"".join(pieces)
    assert all(0 < len(one) <= WRITE_BYTES + len(b"head") for one in batched)


LINES = st.lists(
    st.sampled_from([b"data: ", b"x", b"yy" * 9, b"\n", b"\n\n", b"\r\n\r\n", b"\r", b": note"]),
    max_size=20,
).map(b"".join)


@given(stream=LINES, cuts=st.lists(st.integers(0, 200), max_size=12))
def test_events_over_the_bound_end_where_small_ones_do(stream: bytes, cuts: list[int]) -> None:
    ends = sorted({min(cut, len(stream)) for cut in cuts})
    pieces = [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)]
    whole = EventCutter()
    expected = whole.feed(stream) + whole.end()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "LARGE_BYTES", 3)
        cutter = EventCutter()
        events = [event for piece in pieces for event in cutter.feed(piece)]

        assert events + cutter.end() == expected
