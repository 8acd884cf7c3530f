"""The trace format: one JSON object a line, plain or gzip, in the order of time.

`{"t": seconds, "user": str, "session": str, "input_tokens": int, "output_tokens": int,
"block_tokens": int, "blocks": [ids, prefix-chained]}`. An id stands for its block and all
before it, so that equal ids mean equal prefixes.
"""

import gzip
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec

LINE_BYTES_MAX: Final = 16_000_000
_GZIP: Final = b"\x1f\x8b"

_T = TypeVar("_T")
Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class TraceError(Exception):
    """A trace that cannot be read; the message says where and why."""


class Request(msgspec.Struct, frozen=True):
    """One request of a trace."""

    t: float
    user: Name
    session: Name
    input_tokens: Count
    output_tokens: Count
    block_tokens: Annotated[int, msgspec.Meta(ge=1, le=2**40)]
    blocks: list[int | str]


def read_trace(path: Path) -> Iterator[Request]:
    """Yield a trace's requests, one line in memory at a time.

    Raises:
        TraceError: the file cannot be read, a line is none of the format, or time goes back.
    """
    last_s = float("-inf")
    for number, request in read_lines(path, Request):
        if request.t < last_s:
            raise TraceError(
                f"{path}:{number}: t is {request.t:g}, after a line with {last_s:g}; "
                "sort the trace by t"
            )
        last_s = request.t
        yield request


def read_lines(path: Path, row: type[_T]) -> Iterator[tuple[int, _T]]:
    """Yield (line number, row) for every line that is not blank.

    Raises:
        TraceError: the file cannot be read, or a line is no such row.
    """
    decoder = msgspec.json.Decoder(row)
    with _opened(path) as lines:
        number = 0
        while line := _next_line(lines, path, number + 1):
            number += 1
            if not line.strip():
                continue
            try:
                yield number, decoder.decode(line)
            except msgspec.ValidationError as error:
                raise TraceError(f"{path}:{number}: {error}") from error
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise TraceError(f"{path}:{number}: not a JSON object: {error}") from error


def _next_line(lines: BufferedReader | gzip.GzipFile, path: Path, number: int) -> bytes:
    try:
        line = lines.readline(LINE_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TraceError(f"{path}:{number}: cannot be read: {error}") from error
    if len(line) > LINE_BYTES_MAX:
        raise TraceError(f"{path}:{number}: longer than {LINE_BYTES_MAX} bytes")
    return line


@contextmanager
def _opened(path: Path) -> Generator[BufferedReader | gzip.GzipFile]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise TraceError(f"{path}: cannot be opened: {error.strerror}") from error
    with file:
        assert isinstance(file, BufferedReader), "opened for reading bytes"
        try:
            packed = file.peek(2)[:2] == _GZIP
        except OSError as error:
            raise TraceError(f"{path}: cannot be read: {error.strerror}") from error
        yield gzip.GzipFile(fileobj=file) if packed else file
