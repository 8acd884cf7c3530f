"""An endpoint as a prefix cache of blocks: each lives as long as it is used often enough."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

Block = int | str
FOREVER: Final = float("inf")


class PrefixCache:
    """Blocks with a sliding life, and optionally no more than `blocks_max` of them."""

    __slots__ = ("_blocks", "_blocks_max", "_ttl_s")

    def __init__(self, ttl_s: float, blocks_max: int | None = None) -> None:
        self._ttl_s = ttl_s
        self._blocks_max = blocks_max
        # In the order of use, so that what expires and what is evicted are at the front.
        self._blocks: OrderedDict[Block, float] = OrderedDict()

    def read(self, blocks: Sequence[Block], now_s: float) -> int:
        """Read a prompt; returns how many of its leading blocks were found. All are kept."""
        self._expire(now_s)
        kept = self._blocks
        found = 0
        for block in blocks:
            if block not in kept:
                break
            found += 1
        # Last block first: of a prompt's blocks its end is evicted before its beginning.
        for block in reversed(blocks):
            kept[block] = now_s
            kept.move_to_end(block)
        if self._blocks_max is not None:
            while len(kept) > self._blocks_max:
                kept.popitem(last=False)
        return found

    def clear(self) -> None:
        """Lose everything, as a server does that stops."""
        self._blocks.clear()

    def _expire(self, now_s: float) -> None:
        kept = self._blocks
        while kept:
            block = next(iter(kept))
            if now_s - kept[block] <= self._ttl_s:
                return
            del kept[block]
