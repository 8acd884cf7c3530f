"""The role of a store that knows what keys spent, by the windows of their limits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from regulars.billing.limit_window import window_begin
from regulars.model.caller import KeyTerms, LimitReset


@dataclass(frozen=True, slots=True)
class Spent:
    """Nano-USD that were spent: on all, and the part that a provider bills to a key of our own."""

    nanousd: int = 0
    byok_nanousd: int = 0

    def counted(self, terms: KeyTerms) -> int:
        """Return what of it counts towards a key's limit."""
        return self.nanousd - (0 if terms.include_byok_in_limit else self.byok_nanousd)


@dataclass(frozen=True, slots=True)
class KeySpent:
    """What one key spent in each of its windows, and when it was last used."""

    total: Spent = Spent()
    daily: Spent = Spent()
    weekly: Spent = Spent()
    monthly: Spent = Spent()
    last_us: int | None = None

    def remaining(self, terms: KeyTerms) -> int | None:
        """Return what is left of a key's limit, in nano-USD, never below 0; None without one."""
        if terms.limit_nanousd is None:
            return None
        windows = {
            None: self.total,
            LimitReset.DAILY: self.daily,
            LimitReset.WEEKLY: self.weekly,
            LimitReset.MONTHLY: self.monthly,
        }
        return max(0, terms.limit_nanousd - windows[terms.limit_reset].counted(terms))


@dataclass(frozen=True, slots=True)
class Begins:
    """When the day, the week and the month began, in microseconds at whole hours."""

    day_us: int
    week_us: int
    month_us: int

    @classmethod
    def at(cls, now: datetime) -> "Begins":
        """Return those of the windows that hold `now`."""
        begins = (window_begin(reset, now) for reset in LimitReset)
        return cls(*(int(begin.timestamp()) * 1_000_000 for begin in begins))


class Spendings(Protocol):
    """Knows what keys spent, to the last committed row. Blocking, bounded in time."""

    def spent_since(self, account: str, key_hash: str, begin_us: int | None) -> Spent:
        """Return what one key spent since a whole hour, or ever."""
        ...

    def keys_spent(
        self, account: str, begins: Begins, *, key_hash: str | None = None
    ) -> dict[str, KeySpent]:
        """Return by hash what each key, or one, spent; keys that were never used are left out."""
        ...
