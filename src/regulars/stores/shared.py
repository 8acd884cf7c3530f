"""The role by which routers tell each other where users are warm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from regulars.routing.sharing import Outbox, SharedLoads, SharedPlacement, SharedTrouble


@dataclass(frozen=True, slots=True)
class Heard:
    """What another router told, `late_s` ago; the placements' ages are those of now."""

    placements: tuple[SharedPlacement, ...]
    loads: SharedLoads
    late_s: float
    troubles: tuple[SharedTrouble, ...] = ()


class SharedRouting(Protocol):
    """What routers of the same users tell each other. Blocking, quick; soft state.

    Every method raises StoreError when the others cannot be reached.
    """

    def tell(self, outbox: Outbox) -> None:
        """Tell the others what changed."""
        ...

    def hear(self) -> list[Heard]:
        """Return what others told since the last call; the first call tells what is known."""
        ...

    def ask(self, keys: Sequence[int]) -> list[SharedPlacement]:
        """Return where these keys were last, as far as anybody told."""
        ...

    def close(self) -> None:
        """Let go of it; nobody may be using it."""
        ...
