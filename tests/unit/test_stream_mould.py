import pytest

from regulars.providers.openai.mould import SIZES_MAX, Mould


def mould() -> Mould:
    return Mould(b'data: {"t":"', b'"}\n\n', b'data: {"id":1,"t":"', b'","p":2}\n\n')


def wire(text: bytes, size: bytes | None = None) -> bytes:
    event = b'data: {"t":"' + text + b'"}\n\n'
    return (b"%x" % len(event) if size is None else size) + b"\r\n" + event + b"\r\n"


def test_the_text_stands_between_our_words() -> None:
    assert mould().event(b'data: {"t":"Hi"}\n\n') == b'data: {"id":1,"t":"Hi","p":2}\n\n'
    assert mould().chunk(wire(b"Hi")) == b'1f\r\ndata: {"id":1,"t":"Hi","p":2}\n\n\r\n'


@pytest.mark.parametrize("size", [b"000012", b"12", b"0012"])
def test_zeros_before_a_size_are_read_as_the_parser_reads_them(size: bytes) -> None:
    assert mould().chunk(wire(b"Hi", size)) == b'1f\r\ndata: {"id":1,"t":"Hi","p":2}\n\n\r\n'


@pytest.mark.parametrize(
    "size",
    [b"0x12", b"+12", b" 12", b"12 ", b"12;a=b", b"1_2", b"13", b"11", b"112", b"", b"-12", b"g2"],
)
def test_a_size_that_is_not_the_chunks_own_is_left_to_the_parser(size: bytes) -> None:
    assert mould().chunk(wire(b"Hi", size)) is None


@pytest.mark.parametrize(
    "other",
    [
        wire(b'a","b":"c'),
        wire(b'a"}\n\ndata: {"t":"b'),
        wire(b"a") + wire(b"b"),
        wire(b"abc")[:-1],
        wire(b"abc")[1:],
        b"0\r\n\r\n",
        b"",
        wire(b"a").replace(b"data", b"DATA"),
    ],
)
def test_anything_but_one_such_chunk_is_refused(other: bytes) -> None:
    assert mould().chunk(other) is None


def test_no_more_lengths_are_remembered_than_the_bound() -> None:
    one = mould()

    taken = [one.chunk(wire(b"x" * length)) is not None for length in range(SIZES_MAX + 50)]

    assert taken == [True] * SIZES_MAX + [False] * 50
