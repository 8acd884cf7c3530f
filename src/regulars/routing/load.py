"""How much each endpoint and each user asked for lately: sums that fade with time."""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import exp
from typing import Final

TAU_S: Final = 60.0
"""Half of the promise "even load": what was sent a minute ago counts 1/e."""

USERS_MAX: Final = 100_000
"""Users whose recent load is remembered; the longest unheard of is forgotten first."""


@dataclass(slots=True)
class _Faded:
    amount: float
    at_s: float


def _fade(entry: _Faded, now_s: float) -> float:
    # A clock that jumps back must not make load grow.
    return entry.amount * exp(-max(now_s - entry.at_s, 0.0) / TAU_S)


@dataclass(slots=True)
class Loads:
    """Load by name in cost units (one fresh prompt token of the endpoint's price = 1)."""

    names_max: int = USERS_MAX
    _entries: OrderedDict[object, _Faded] = field(default_factory=OrderedDict[object, _Faded])

    def add(self, name: object, amount: float, now_s: float) -> None:
        """Count `amount` (negative to correct an estimate) at `now_s`."""
        entry = self._entries.get(name)
        if entry is None:
            self._entries[name] = _Faded(max(amount, 0.0), now_s)
            if len(self._entries) > self.names_max:
                self._entries.popitem(last=False)
            return
        entry.amount = max(_fade(entry, now_s) + amount, 0.0)
        entry.at_s = now_s
        self._entries.move_to_end(name)

    def of(self, name: object, now_s: float) -> float:
        """Return what is left of a name's load."""
        entry = self._entries.get(name)
        return 0.0 if entry is None else _fade(entry, now_s)
