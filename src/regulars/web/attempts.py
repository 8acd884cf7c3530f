"""How often an address may guess a key: a small table in memory, one per process."""

from collections import OrderedDict
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

FAILURES_MAX: Final = 10
"""Failed logins of one address within the window; after that it waits."""
WINDOW_S: Final = 300.0
ADDRESSES_MAX: Final = 4096
"""Addresses remembered; the one seen longest ago is forgotten first."""


class LoginAttempts:
    """Counts failed logins by address."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, address: str, now_s: float) -> float:
        """Return for how long this address may not try; 0 when it may."""
        began_s, count = self._failures.get(_neighbourhood(address), (now_s, 0))
        return max(0.0, began_s + WINDOW_S - now_s) if count >= FAILURES_MAX else 0.0

    def note_failure(self, address: str, now_s: float) -> None:
        """Remember one failed login."""
        place = _neighbourhood(address)
        began_s, count = self._failures.pop(place, (now_s, 0))
        if now_s - began_s >= WINDOW_S:
            began_s, count = now_s, 0
        self._failures[place] = (began_s, count + 1)
        if len(self._failures) > ADDRESSES_MAX:
            self._failures.popitem(last=False)

    def forget(self, address: str) -> None:
        """Clear an address that has logged in."""
        self._failures.pop(_neighbourhood(address), None)


def _neighbourhood(address: str) -> str:
    """Fold an IPv6 address to its /64: one household owns all of it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, 64), strict=False))
    return str(parsed)
