"""The role of who keeps what was said of external users."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Registered:
    """An external user that was registered, or turned off; times are microseconds since 1970.

    `display_name` is how people may call him; it identifies nobody and nothing is found by it.
    """

    name: str
    is_active: bool
    created_us: int
    updated_us: int
    display_name: str | None = None


class Registry(Protocol):
    """Keeps what was said of external users. Blocking, quick."""

    def registered(self, account: str, *, limit: int) -> list[Registered]:
        """Return them by name."""
        ...

    def register(self, account: str, user: Registered) -> None:
        """Keep what is said of one; when he was registered first stays."""
        ...

    def display_names(self, account: str, names: Sequence[str]) -> dict[str, str]:
        """Return the display names of those who have one."""
        ...

    def find_registered(self, account: str, name: str) -> Registered | None:
        """Return one by his name."""
        ...
