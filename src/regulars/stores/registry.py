"""The role of who keeps what was said of external users."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Registered:
    """An external user that was registered, or turned off; times are microseconds since 1970."""

    name: str
    is_active: bool
    created_us: int
    updated_us: int


class Registry(Protocol):
    """Keeps what was said of external users. Blocking, quick."""

    def registered(self, account: str, *, limit: int) -> list[Registered]:
        """Return them by name."""
        ...

    def register(self, account: str, user: Registered) -> None:
        """Keep what is said of one; when he was registered first stays."""
        ...

    def find_registered(self, account: str, name: str) -> Registered | None:
        """Return one by his name."""
        ...
