"""What a replay is judged by. Every dictionary forgets what is older than the caches' life."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

WINDOW_S: Final = 60.0
_MANY: Final = ""


@dataclass(slots=True)
class Balance:
    """Cost by endpoint, per weight: in windows of a minute and in the whole run."""

    weights: Mapping[str, float]
    totals: dict[str, float] = field(default_factory=dict[str, float])
    _window: dict[str, float] = field(default_factory=dict[str, float])
    _up: frozenset[str] = frozenset()
    _window_end_s: float | None = None
    _ratio_sum: float = 0.0
    _ratios: int = 0

    def add(self, endpoint: str, cost: float, up: Sequence[str], now_s: float) -> None:
        """Count a request's cost; `up` are the endpoints that could have got it."""
        if self._window_end_s is None or now_s >= self._window_end_s:
            self._close()
            minute = now_s // WINDOW_S
            self._window_end_s = (minute + 1) * WINDOW_S
            self._up = frozenset(up)
        # Only who was there for the whole window can be blamed for its share of it.
        self._up &= frozenset(up)
        self._window[endpoint] = self._window.get(endpoint, 0.0) + cost
        self.totals[endpoint] = self.totals.get(endpoint, 0.0) + cost

    def by_minute(self) -> float | None:
        """Return max over mean, averaged over the windows; None when there was no load."""
        self._close()
        return self._ratio_sum / self._ratios if self._ratios else None

    def whole(self) -> float | None:
        """Return max over mean of the whole run."""
        return _max_over_mean(self.totals, self.weights)

    def _close(self) -> None:
        weights = {name: self.weights[name] for name in self._up}
        ratio = _max_over_mean(self._window, weights)
        if ratio is not None:
            self._ratio_sum += ratio
            self._ratios += 1
        self._window = {}


def _max_over_mean(costs: Mapping[str, float], weights: Mapping[str, float]) -> float | None:
    total = sum(costs.get(name, 0.0) for name in weights)
    if not total:
        return None
    highest = max(costs.get(name, 0.0) / weight for name, weight in weights.items())
    return highest * sum(weights.values()) / total


@dataclass(slots=True)
class Moves:
    """Warm requests, and those of them that went elsewhere.

    A request is warm when its session was answered no longer ago than a cache lives. Leaving an
    endpoint that is down is no move: there was no choice.
    """

    ttl_s: float
    warm: int = 0
    moved: int = 0
    collateral: int = 0
    returned: int = 0
    _last: OrderedDict[str, tuple[str, float]] = field(
        default_factory=OrderedDict[str, tuple[str, float]]
    )

    def add(
        self, session: str, endpoint: str, up: Sequence[str], now_s: float, *, concerned: set[str]
    ) -> None:
        """Count a request. `concerned`: endpoints that were down before or came later."""
        self._forget(now_s)
        last = self._last.get(session)
        self._last[session] = (endpoint, now_s)
        self._last.move_to_end(session)
        if last is None:
            return
        self.warm += 1
        if last[0] == endpoint or last[0] not in up:
            return
        self.moved += 1
        if concerned and last[0] not in concerned:
            self.collateral += 1
            self.returned += endpoint in concerned

    def share(self, count: int) -> float:
        """Return a count as a share of the warm requests."""
        return count / self.warm if self.warm else 0.0

    def _forget(self, now_s: float) -> None:
        while self._last:
            session = next(iter(self._last))
            if now_s - self._last[session][1] <= self.ttl_s:
                return
            del self._last[session]


@dataclass(slots=True)
class Homes:
    """Whether each user was at one endpoint only."""

    _endpoint: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, user: str, endpoint: str) -> None:
        """Count a request."""
        if self._endpoint.setdefault(user, endpoint) != endpoint:
            self._endpoint[user] = _MANY

    def on_one(self) -> float | None:
        """Return the share of users with one endpoint; None without users."""
        if not self._endpoint:
            return None
        alone = sum(endpoint != _MANY for endpoint in self._endpoint.values())
        return alone / len(self._endpoint)
