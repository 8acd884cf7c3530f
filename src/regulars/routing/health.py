"""Which endpoints are well: a circuit breaker per endpoint, rests after a 429, and speeds.

Pure: outcomes and times come in, standings go out. Health decides who is a candidate;
stickiness only orders those.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import ceil
from typing import Final

from msgspec import Struct

from regulars.model.catalog import Endpoint
from regulars.model.errors import (
    GatewayError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamStatusError,
    UpstreamTimeoutError,
)
from regulars.routing.sharing import SharedTrouble

FAILURES_TO_OPEN: Final = 3.0
"""In a row, or within OUTAGE_S where half of all outcomes failed."""
STALL_WEIGHT: Final = 1.5
"""A stall costs the user a long wait, so two of them are enough."""
OUTAGE_S: Final = 30.0
OPEN_S: Final = 5.0
"""First pause of an open circuit; each failed probe doubles it."""
OPEN_S_MAX: Final = 120.0
PROBE_S: Final = 60.0
"""A probe that reported nothing for so long is given up, and another one may go."""
REST_S: Final = 1.0
"""Rest after a 429 that names no time; each further one doubles it."""
REST_S_MAX: Final = 3600.0
SPEED_S: Final = 300.0
OUTCOMES_MAX: Final = 512
"""Remembered per endpoint."""
DENIED_S: Final = 60.0
"""Pause after a refusal that only the operator can cure: quota gone, key revoked."""
_DENIED: Final = (401, 402, 403)


class Failure(Enum):
    """What an attempt came to nothing of."""

    ERROR = "error"
    STALL = "stall"
    """No first token in time."""
    LIMITED = "limited"
    """429."""
    DENIED = "denied"
    """401, 402, 403: the gateway's own key or quota."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An endpoint that is not a candidate, and why, in words for the caller."""

    endpoint: str
    reason: str


class Standings(Struct, frozen=True):
    """Who may be tried. `retry_after_s`: when the first resting one is ready, if all rest."""

    usable: tuple[Endpoint, ...]
    refusals: tuple[Refusal, ...] = ()
    retry_after_s: float | None = None


class _Outcome(Struct, frozen=True, gc=False):
    at_s: float
    weight: float
    """Of a failure; 0 for a success."""
    ttft_s: float | None = None
    tokens_per_s: float | None = None


@dataclass(slots=True)
class _Record:
    outcomes: deque[_Outcome] = field(default_factory=lambda: deque[_Outcome](maxlen=OUTCOMES_MAX))
    in_a_row: float = 0.0
    open_until_s: float | None = None
    open_s: float = OPEN_S
    probe_until_s: float | None = None
    rest_until_s: float = 0.0
    rest_s: float = REST_S
    failed_at_s: float | None = None


def failure_of(error: GatewayError) -> Failure | None:
    """Say what an error tells of the endpoint; None when it is not its doing."""
    if not isinstance(error, UpstreamError) or isinstance(error, UpstreamBusyError):
        return None
    if isinstance(error, UpstreamTimeoutError):
        return Failure.STALL
    if isinstance(error, UpstreamStatusError):
        if error.upstream_status == 429 or error.status == 429:
            return Failure.LIMITED
        if error.upstream_status in _DENIED:
            return Failure.DENIED
    # What another endpoint would refuse as well says nothing of this one.
    return Failure.ERROR if error.retryable else None


class Health:
    """What one process saw of each endpoint, and what others told it."""

    __slots__ = ("_records", "_troubled", "_untold")

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        # Nearly always empty: then a request asks for no record at all.
        self._troubled: set[str] = set()
        self._untold: set[str] = set()

    def standings(self, endpoints: Sequence[Endpoint], now_s: float) -> Standings:
        """Sort out who may be tried now.

        Where nobody else is left, endpoints with an open circuit are tried after all: an
        attempt that probably fails is more than none. Resting ones are not: they said when.
        """
        if not self._troubled:
            return Standings(tuple(endpoints))
        usable: list[Endpoint] = []
        broken: list[Endpoint] = []
        refusals: list[Refusal] = []
        ready_s: list[float] = []
        for endpoint in endpoints:
            record = self._records.get(endpoint.id)
            if record is None or not (reason := _refusal(record, now_s)):
                usable.append(endpoint)
                continue
            refusals.append(Refusal(endpoint.id, reason))
            if record.rest_until_s > now_s:
                ready_s.append(record.rest_until_s - now_s)
            else:
                broken.append(endpoint)
        if not refusals:
            return Standings(tuple(endpoints))  # the very tuple it was, which is found faster
        if usable or broken:
            return Standings(tuple(usable or broken), tuple(refusals))
        return Standings((), tuple(refusals), min(ready_s, default=None))

    def began(self, endpoint_id: str, now_s: float) -> None:
        """Note an attempt. To an endpoint whose circuit was open it is the probe."""
        record = self._records.get(endpoint_id)
        if record is not None and record.open_until_s is not None:
            record.probe_until_s = now_s + PROBE_S

    def succeeded(
        self,
        endpoint_id: str,
        now_s: float,
        *,
        ttft_s: float | None = None,
        tokens_per_s: float | None = None,
    ) -> None:
        """Note an answer: it closes the circuit."""
        record = self._records.get(endpoint_id)
        if record is None:
            record = self._records[endpoint_id] = _Record()
        record.outcomes.append(_Outcome(now_s, 0.0, ttft_s, tokens_per_s))
        if record.rest_until_s <= now_s:
            self._troubled.discard(endpoint_id)
        if record.open_until_s is not None:
            self._untold.add(endpoint_id)
        record.in_a_row = 0.0
        record.open_until_s = record.probe_until_s = None
        record.open_s, record.rest_s = OPEN_S, REST_S

    def failed(
        self,
        endpoint_id: str,
        failure: Failure,
        now_s: float,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        """Note a failed attempt; it may open the circuit, or send the endpoint to rest."""
        record = self._records.setdefault(endpoint_id, _Record())
        self._troubled.add(endpoint_id)
        if failure is Failure.LIMITED:
            _rest(record, now_s, retry_after_s)
            self._untold.add(endpoint_id)
            return
        weight = STALL_WEIGHT if failure is Failure.STALL else 1.0
        record.outcomes.append(_Outcome(now_s, weight))
        record.in_a_row += weight
        record.failed_at_s = now_s
        if failure is Failure.DENIED:
            _open(record, now_s, DENIED_S)
        elif record.open_until_s is not None and record.open_until_s > now_s:
            return  # was under way when the circuit opened: it says nothing new
        elif record.open_until_s is not None or _is_out(record, now_s):
            _open(record, now_s, record.open_s)
            record.open_s = min(2 * record.open_s, OPEN_S_MAX)
        if record.open_until_s is not None:
            self._untold.add(endpoint_id)

    def troubles(self, now_s: float, *, again: bool = False) -> tuple[SharedTrouble, ...]:
        """Tell others what changed since the last call; `again` tells all that is wrong."""
        told, self._untold = self._untold | self._troubled if again else self._untold, set()
        return tuple([_told(name, self._records[name], now_s) for name in sorted(told)])

    def hear(self, troubles: Iterable[SharedTrouble], now_s: float, *, late_s: float) -> None:
        """Take in what another process saw, as it was `late_s` ago."""
        for trouble in troubles:
            record = self._records.setdefault(trouble.endpoint, _Record())
            seen_s = now_s - late_s
            record.rest_until_s = max(record.rest_until_s, seen_s + trouble.rest_s)
            if trouble.open_s is not None:
                until_s = seen_s + trouble.open_s
                record.open_until_s = max(record.open_until_s or until_s, until_s)
                record.open_s = max(record.open_s, trouble.pause_s)
            elif record.failed_at_s is None or record.failed_at_s <= seen_s:
                record.in_a_row = 0.0
                record.open_until_s = record.probe_until_s = None
                record.open_s = OPEN_S
            if record.open_until_s is not None or record.rest_until_s > now_s:
                self._troubled.add(trouble.endpoint)
            else:
                self._troubled.discard(trouble.endpoint)

    def left(self, endpoint_id: str) -> None:
        """Note an attempt that ended without telling anything: the client left."""
        record = self._records.get(endpoint_id)
        if record is not None:
            record.probe_until_s = None

    def shaky(self, endpoint_id: str, now_s: float) -> bool:
        """Say whether a significant part failed within the last 30 s."""
        record = self._records.get(endpoint_id)
        if record is None or record.failed_at_s is None or now_s - record.failed_at_s > OUTAGE_S:
            return False
        return record.open_until_s is not None or _is_out(record, now_s)

    def ttft_s(self, endpoint_id: str, percent: int, now_s: float) -> float | None:
        """Return a percentile of the time to the first token, of the last 5 minutes."""
        return _percentile([o.ttft_s for o in self._recent(endpoint_id, now_s)], percent)

    def tokens_per_s(self, endpoint_id: str, percent: int, now_s: float) -> float | None:
        """Return the speed that `percent` of the last 5 minutes' answers reached at least."""
        return _percentile(
            [o.tokens_per_s for o in self._recent(endpoint_id, now_s)], 100 - percent
        )

    def _recent(self, endpoint_id: str, now_s: float) -> list[_Outcome]:
        record = self._records.get(endpoint_id)
        if record is None:
            return []
        return [outcome for outcome in record.outcomes if now_s - outcome.at_s <= SPEED_S]


def _told(endpoint_id: str, record: _Record, now_s: float) -> SharedTrouble:
    until_s = record.open_until_s
    return SharedTrouble(
        endpoint_id,
        open_s=None if until_s is None else max(until_s - now_s, 0.0),
        pause_s=record.open_s,
        rest_s=max(record.rest_until_s - now_s, 0.0),
    )


def _refusal(record: _Record, now_s: float) -> str:
    """Return why an endpoint is no candidate now, nothing when it is one."""
    if record.rest_until_s > now_s:
        return f"rests for {ceil(record.rest_until_s - now_s)} s after a 429"
    if record.open_until_s is None:
        return ""
    if record.open_until_s > now_s:
        return f"failed repeatedly; tried again in {ceil(record.open_until_s - now_s)} s"
    if record.probe_until_s is not None and record.probe_until_s > now_s:
        return "failed repeatedly; one request is trying it now"
    return ""


def _is_out(record: _Record, now_s: float) -> bool:
    if record.in_a_row >= FAILURES_TO_OPEN:
        return True
    recent = [o.weight for o in record.outcomes if now_s - o.at_s <= OUTAGE_S]
    failures = sum(weight > 0.0 for weight in recent)
    return sum(recent) >= FAILURES_TO_OPEN and 2 * failures >= len(recent)


def _open(record: _Record, now_s: float, pause_s: float) -> None:
    record.open_until_s = now_s + pause_s
    record.probe_until_s = None


def _rest(record: _Record, now_s: float, retry_after_s: float | None) -> None:
    pause_s = retry_after_s
    if pause_s is None:
        if record.rest_until_s > now_s:
            return  # was under way when the rest began: it says nothing new
        pause_s = record.rest_s
        record.rest_s = min(2 * record.rest_s, REST_S_MAX)
    record.rest_until_s = max(record.rest_until_s, now_s + min(pause_s, REST_S_MAX))
    record.probe_until_s = None


def _percentile(values: Sequence[float | None], percent: int) -> float | None:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return known[min(ceil(percent / 100 * len(known)), len(known)) - 1 if percent else 0]
