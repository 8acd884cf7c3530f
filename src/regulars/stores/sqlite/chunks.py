"""Cutting batches into a handful of sizes, so that prepared statements are used again.

One statement with many rows takes one step: fewer steps, fewer hand-overs of the interpreter
lock to and from the event loop's thread.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final, TypeVar

SIZES: Final = (64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
"""Most batches take one or two statements; each is prepared once and kept."""

Item = TypeVar("Item")


def cut(items: Sequence[Item], sizes: Collection[int] = SIZES) -> Iterator[Sequence[Item]]:
    """Yield the items in order, in pieces of the largest sizes that fit; these descend to 1."""
    start = 0
    for size in sizes:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size
