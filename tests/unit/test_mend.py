"""JSON that is not quite JSON."""

import pytest

from regulars.wire.mend import MENDED_BYTES_MAX, mended


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'\xef\xbb\xbf{"a": 1}', '{"a":1}'),
        (b'{"a":NaN,"b":-Infinity}', '{"a":null,"b":null}'),
        (b'{"a":"\xf0\x9f!"}', '{"a":"\N{REPLACEMENT CHARACTER}!"}'),
        (b'{"a":"\\ud83d\\ude00"}', '{"a":"\N{GRINNING FACE}"}'),
        (b'{"a":"\\ude00\\ud83d"}', '{"a":"\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"}'),
        (b'{"a":"tab\there"}', '{"a":"tab\\there"}'),
    ],
)
def test_what_a_lenient_reader_makes_of_it(written: bytes, read: str) -> None:
    assert mended(written) == read.encode()


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"<html>",
        b'{"a": 1',
        b'{"a": 1e999}',
        b"9" * 5_000,
        b"[" * 100_000,
        b'"' + b"x" * MENDED_BYTES_MAX + b'"',
    ],
    ids=["nothing", "page", "half", "beyond-floats", "beyond-digits", "nest", "large"],
)
def test_what_nobody_can_read_is_nothing(written: bytes) -> None:
    assert mended(written) is None
