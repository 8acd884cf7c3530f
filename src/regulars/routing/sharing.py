"""What routers tell each other: placements that changed, load that was sent, endpoints in trouble.

Plain values; how they travel is not known here. Times are told as ages, since clocks of
different machines have nothing in common. All of it may come late, twice or never: placements
keep the newest, loads fade within a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

PLACEMENTS_MAX: Final = 50_000
"""Per telling. What does not fit is told when its key is used again."""
USERS_MAX: Final = 20_000


class Sharing(Enum):
    """How this router stands to others that route the same users."""

    ALONE = "alone"
    """There are none: nothing is collected."""
    CHANNEL = "channel"
    """There are some, and a channel to them."""
    CUT = "cut"
    """There are some, and the channel is lost: rule 5, so that all decide alike."""


@dataclass(frozen=True, slots=True)
class SharedPlacement:
    """A key's placement, as old as `idle_s` when it was told."""

    key: int
    endpoint: str
    idle_s: float
    prompt_tokens: int
    ttl_s: float | None = None


@dataclass(frozen=True, slots=True)
class SharedLoads:
    """Cost units sent since the last telling, by endpoint id and by user key."""

    endpoints: Mapping[str, float] = field(default_factory=dict[str, float])
    users: Mapping[int, float] = field(default_factory=dict[int, float])


@dataclass(frozen=True, slots=True)
class SharedTrouble:
    """How an endpoint stands, for those who have not tried it themselves."""

    endpoint: str
    open_s: float | None
    """Until its circuit is probed, 0 when that is due, None when it is closed."""
    pause_s: float
    """How long the circuit is open when a probe fails."""
    rest_s: float
    """What is left of its rest after a 429."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """One telling."""

    placements: tuple[SharedPlacement, ...] = ()
    loads: SharedLoads = SharedLoads()
    troubles: tuple[SharedTrouble, ...] = ()


class Collected:
    """What has to be told next. Bounded, for nobody may ever ask."""

    __slots__ = ("endpoints", "keys", "users")

    def __init__(self) -> None:
        self.keys: dict[int, None] = {}
        self.endpoints: dict[str, float] = {}
        self.users: dict[int, float] = {}

    def placed(self, key: int) -> None:
        """Note a placement that changed."""
        if len(self.keys) < PLACEMENTS_MAX:
            self.keys[key] = None

    def sent(self, endpoint_id: str, amount: float) -> None:
        """Note load that was sent, or corrected."""
        self.endpoints[endpoint_id] = self.endpoints.get(endpoint_id, 0.0) + amount

    def used(self, user: int, amount: float) -> None:
        """Note what a user asked for."""
        if user in self.users or len(self.users) < USERS_MAX:
            self.users[user] = self.users.get(user, 0.0) + amount
