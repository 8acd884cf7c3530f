"""T: where a key is warm, a bounded table of the endpoint that answered it last."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, TypeAlias

from regulars.routing.recent import Recent

KEYS_MAX: Final = 1_000_000
"""About 200 MB when full. Losing a key costs one cold prefill."""
KNOWN_S: Final = 3600.0
"""An idle key is forgotten after this, unless a cache lives longer."""

Placement: TypeAlias = tuple[str, float, int, float | None]
"""(endpoint id, last use in seconds, prompt tokens read there, cache life the request asked for).

A plain tuple, because there may be a million: the garbage collector does not look into those.
"""


class Placements:
    """Key → placement. Every time is that of the caller's one clock."""

    __slots__ = ("_known_s", "_table", "_turned_s")

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._table: Recent[int, Placement] = Recent(keys_max)
        self._known_s = KNOWN_S
        self._turned_s: float | None = None

    def get(self, key: int, now_s: float) -> Placement | None:
        """Return where the key was last, unless that is too long ago to matter."""
        placement = self._table.get(key)
        if placement is None or now_s - placement[1] > self._known_s:
            return None
        return placement

    def put(self, key: int, placement: Placement, now_s: float) -> None:
        """Remember where the key is warm."""
        turned_s = self._turned_s
        if turned_s is None or now_s < turned_s:
            self._turned_s = now_s
        elif now_s - turned_s > self._known_s:
            # What was not written for this long could not be returned any more.
            self._table.turn()
            self._turned_s = now_s
        self._table.put(key, placement)

    def keep_for(self, life_s: float) -> None:
        """Know keys at least as long as a cache of this life can hold them."""
        self._known_s = max(self._known_s, life_s)

    def items(self, now_s: float) -> Iterator[tuple[int, Placement]]:
        """Yield every key that is still known."""
        for key, placement in self._table.items():
            if now_s - placement[1] <= self._known_s:
                yield key, placement

    def held(self, now_s: float, *, looked_at_max: int) -> Mapping[str, int]:
        """Count keys by the endpoint that answered them last, of the newest so many."""
        newest = islice(self._table.newest(), looked_at_max)
        return Counter([place[0] for _, place in newest if now_s - place[1] <= self._known_s])

    def __len__(self) -> int:
        return len(self._table)
