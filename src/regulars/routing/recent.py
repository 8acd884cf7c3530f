"""A bounded table that forgets the least recently written half at once.

Two plain dicts instead of a linked list: half the memory of an OrderedDict, and tuples of
plain values in it cost the garbage collector nothing.
"""

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Key → value. Holds at most `keys_max`, and at least the newest half of that."""

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, keys_max: int) -> None:
        assert keys_max >= 2, f"keys_max {keys_max}: a table needs room for two"
        self._half = keys_max // 2
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return the value; reading does not keep it alive, writing does."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def put(self, key: K, value: V) -> None:
        """Write a value; when half the room is used, what was not written since goes."""
        if key not in self._young:
            self._old.pop(key, None)
            if len(self._young) >= self._half:
                self.turn()
        self._young[key] = value

    def drop(self, key: K) -> None:
        """Forget one key, known or not."""
        if self._young.pop(key, None) is None:
            self._old.pop(key, None)

    def turn(self) -> None:
        """Forget all that was not written since the last turn."""
        self._old = self._young
        self._young = {}

    def items(self) -> Iterator[tuple[K, V]]:
        """Yield everything, the newest half last. Not to be written to meanwhile."""
        yield from self._old.items()
        yield from self._young.items()

    def newest(self) -> Iterator[tuple[K, V]]:
        """Yield everything, the newest first. Not to be written to meanwhile."""
        yield from reversed(self._young.items())
        yield from reversed(self._old.items())

    def scale(self: "Recent[K, float]", factor: float) -> None:
        """Multiply every value, where values are numbers."""
        self._young = {key: value * factor for key, value in self._young.items()}
        self._old = {key: value * factor for key, value in self._old.items()}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
