"""How long an exchange may go on waiting. Pure: times are the loop's, in seconds."""

from typing import NamedTuple

from regulars.model.catalog import Timeouts


class Deadline(NamedTuple):
    """When waiting ends, for what, and the timeout that says so."""

    at: float
    waited_for: str
    seconds: float


def deadline(
    timeouts: Timeouts, *, started_at: float, heard_at: float, has_body: bool, paused: bool
) -> Deadline:
    """Return the nearest deadline in force.

    While we ourselves have `paused` the upstream, only the whole answer's counts.
    """
    total = Deadline(started_at + timeouts.total_s, "complete answer", timeouts.total_s)
    if paused:
        return total
    if has_body:
        return min(total, Deadline(heard_at + timeouts.idle_s, "further byte", timeouts.idle_s))
    first_s = timeouts.first_byte_s
    return min(total, Deadline(started_at + first_s, "first byte of an answer", first_s))
