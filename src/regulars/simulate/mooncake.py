"""Converts Mooncake's traces into ours.

They have no users and time stamps in steps of seconds. So each step's requests are spread
evenly over it; a session is all requests with the same first block after the template that
many conversations begin with; and a user is a session, unless accounts are dealt (`accounts.py`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from regulars.simulate.trace import Count, Request, TraceError, read_lines

BLOCK_TOKENS: Final = 512
TEMPLATE_FOLLOWERS_MIN: Final = 50
"""A block that so many different blocks follow belongs to the template, to no conversation."""
LAST_STEP_MS: Final = 3000.0
STEP_REQUESTS_MAX: Final = 1_000_000


class Row(msgspec.Struct, frozen=True):
    """One line of a Mooncake trace. `timestamp` in ms."""

    timestamp: Count
    input_length: Count
    output_length: Count
    hash_ids: list[Count]


def convert(path: Path) -> Iterator[Request]:
    """Yield the requests of a Mooncake trace.

    Raises:
        TraceError: the file cannot be read, or a line is none of the format.
    """
    template = _template(path)
    number = 0
    for start_ms, step_ms, rows in _steps(path):
        for index, row in enumerate(rows):
            number += 1
            session = _session(row, template, number)
            yield Request(
                t=(start_ms + step_ms * index / len(rows)) / 1000.0,
                user=session,
                session=session,
                input_tokens=row.input_length,
                output_tokens=row.output_length,
                block_tokens=BLOCK_TOKENS,
                blocks=list[int | str](row.hash_ids),
            )


def _template(path: Path) -> frozenset[int]:
    """Find the blocks that conversations have in common."""
    followers: dict[int, set[int]] = {}
    for _, row in read_lines(path, Row):
        for block, follower in zip(row.hash_ids, row.hash_ids[1:], strict=False):
            seen = followers.setdefault(block, set())
            if len(seen) < TEMPLATE_FOLLOWERS_MIN:
                seen.add(follower)
    return frozenset(b for b, seen in followers.items() if len(seen) >= TEMPLATE_FOLLOWERS_MIN)


def _session(row: Row, template: frozenset[int], number: int) -> str:
    own = next((block for block in row.hash_ids if block not in template), None)
    # A prompt of nothing but template continues no conversation that could be told apart.
    return f"row-{number}" if own is None else f"block-{own}"


def _steps(path: Path) -> Iterator[tuple[float, float, list[Row]]]:
    """Yield (start, length, rows) of each time stamp."""
    waiting: list[Row] = []
    for number, row in read_lines(path, Row):
        if waiting and row.timestamp != waiting[0].timestamp:
            start_ms = waiting[0].timestamp
            if row.timestamp < start_ms:
                raise TraceError(f"{path}:{number}: timestamp goes back; sort the trace by it")
            yield start_ms, row.timestamp - start_ms, waiting
            waiting = []
        waiting.append(row)
        if len(waiting) > STEP_REQUESTS_MAX:
            raise TraceError(f"{path}:{number}: over {STEP_REQUESTS_MAX} rows of one timestamp")
    if waiting:
        yield waiting[0].timestamp, LAST_STEP_MS, waiting
