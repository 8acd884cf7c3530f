"""First requests that nobody has answered yet: a burst of them goes to one place.

Until the first answer the table of placements knows nothing of a new user, and the load that
his burst makes would scatter it over the endpoints, each reading the same prompt cold.
"""

from typing import Final

from regulars.routing.recent import Recent

BURST_S: Final = 60.0
"""How long after the first request others follow it unanswered."""
BURST_MAX: Final = 100
"""How many follow; the rest is placed by load."""
KEYS_MAX: Final = 20_000


class UnderWay:
    """Key → endpoint of its unanswered first request."""

    __slots__ = ("_table",)

    def __init__(self, keys_max: int = KEYS_MAX) -> None:
        self._table: Recent[int, tuple[str, float, int]] = Recent(keys_max)

    def endpoint(self, key: int, now_s: float) -> str | None:
        """Return where to follow, None when nothing is under way or enough have followed."""
        found = self._table.get(key)
        if found is None or now_s - found[1] > BURST_S or found[2] >= BURST_MAX:
            return None
        return found[0]

    def note(self, key: int, endpoint_id: str, now_s: float) -> None:
        """Count one request that went to an endpoint and is not answered yet."""
        found = self._table.get(key)
        if found is None or found[0] != endpoint_id or now_s - found[1] > BURST_S:
            self._table.put(key, (endpoint_id, now_s, 1))
        else:
            self._table.put(key, (endpoint_id, found[1], found[2] + 1))

    def settle(self, *keys: int) -> None:
        """Forget keys: they were answered, and their placements say more."""
        if len(self._table):
            for key in keys:
                self._table.drop(key)

    def failed(self, key: int, endpoint_id: str) -> None:
        """Forget a key that nobody should follow to this endpoint any more."""
        found = self._table.get(key)
        if found is not None and found[0] == endpoint_id:
            self._table.drop(key)
