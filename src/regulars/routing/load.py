"""L_e and X_U: what each endpoint and each user asked for lately, as sums that fade with time.

A sum is kept as it would be at one common moment (`amount · e^(age of that moment / τ)`). So
adding and reading touch one number, and nothing has to be faded when it is only compared.
"""

from math import exp
from typing import Final

from regulars.routing.recent import Recent

TAU_S: Final = 60.0
"""Half of the promise "even load": what was sent a minute ago counts 1/e."""
USERS_MAX: Final = 100_000
"""Users whose recent load is remembered; the longest unheard of are forgotten first."""
_EXPONENT_MAX: Final = 500.0
"""Beyond it the common moment is brought forward, long before a float overflows (at 709)."""


class Loads:
    """Cost units by endpoint id and by user key (one fresh prompt token = 1)."""

    __slots__ = ("_last_s", "_moment_s", "_scale", "endpoints", "users")

    def __init__(self, users_max: int = USERS_MAX) -> None:
        self.endpoints: dict[str, float] = {}
        """Scaled: divide by `scale(now)`. As many as the configuration ever named."""
        self.users: Recent[int, float] = Recent(users_max)
        self._moment_s: float | None = None
        self._last_s = 0.0
        self._scale = 1.0
        """At `_last_s`."""

    def scale(self, now_s: float) -> float:
        """Return what a unit of now is worth in the scaled sums."""
        if now_s == self._last_s and self._moment_s is not None:
            return self._scale
        if self._moment_s is None:
            self._moment_s = self._last_s = now_s
        if now_s < self._last_s:
            # The clock jumped back. Loads neither grow nor stand still until it catches up.
            self._moment_s -= self._last_s - now_s
        self._last_s = now_s
        exponent = (now_s - self._moment_s) / TAU_S
        if exponent > _EXPONENT_MAX:
            self._bring_forward(exponent, now_s)
            exponent = 0.0
        self._scale = exp(exponent)
        return self._scale

    def add(self, endpoint_id: str, amount: float, now_s: float) -> None:
        """Count `amount` for an endpoint; negative corrects an estimate, never below nothing."""
        scale = self.scale(now_s)  # first of all: it may bring all sums forward
        self.endpoints[endpoint_id] = max(
            self.endpoints.get(endpoint_id, 0.0) + amount * scale, 0.0
        )

    def charge(self, endpoint_id: str, amount: float, scale: float) -> None:
        """Count `amount` for an endpoint, where the moment's scale is known already."""
        self.endpoints[endpoint_id] = self.endpoints.get(endpoint_id, 0.0) + amount * scale

    def correct(self, endpoint_id: str, amount: float, *, sent_s: float, now_s: float) -> None:
        """Count `amount` as if it had been known when the request was sent."""
        age_s = max(now_s - sent_s, 0.0)
        self.add(endpoint_id, amount * exp(-age_s / TAU_S), now_s)

    def of(self, endpoint_id: str, now_s: float) -> float:
        """Return what is left of an endpoint's load."""
        scale = self.scale(now_s)
        return self.endpoints.get(endpoint_id, 0.0) / scale

    def add_user(self, user: int, amount: float, now_s: float) -> None:
        """Count `amount` for a user."""
        scale = self.scale(now_s)
        self.users.put(user, (self.users.get(user) or 0.0) + amount * scale)

    def of_user(self, user: int, now_s: float) -> float:
        """Return what is left of a user's load."""
        scale = self.scale(now_s)
        return (self.users.get(user) or 0.0) / scale

    def _bring_forward(self, exponent: float, now_s: float) -> None:
        factor = exp(-min(exponent, 700.0))
        self.endpoints = {name: load * factor for name, load in self.endpoints.items()}
        self.users.scale(factor)
        self._moment_s = now_s
