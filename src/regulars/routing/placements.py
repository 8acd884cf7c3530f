"""Where a key is warm: a bounded table of the endpoint that answered it last."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

KEYS_MAX: Final = 500_000
FORGET_S: Final = 3600.0


@dataclass(slots=True)
class Placement:
    """A key's last endpoint. `prompt_tokens` is how much of a prefix is warm there."""

    endpoint: str
    at_s: float
    prompt_tokens: int


@dataclass(slots=True)
class Placements:
    """Key → placement, least recently used out first. Losing it costs a cold prefill a key."""

    keys_max: int = KEYS_MAX
    _table: OrderedDict[int, Placement] = field(default_factory=OrderedDict[int, Placement])

    def get(self, key: int, now_s: float) -> Placement | None:
        """Return the key's placement unless it is older than FORGET_S."""
        placement = self._table.get(key)
        if placement is None or now_s - placement.at_s > FORGET_S:
            return None
        return placement

    def put(self, key: int, placement: Placement) -> None:
        """Remember that the key is warm there now."""
        self._table[key] = placement
        self._table.move_to_end(key)
        if len(self._table) > self.keys_max:
            self._table.popitem(last=False)

    def __len__(self) -> int:
        return len(self._table)
