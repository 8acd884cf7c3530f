"""When somebody's requests went to another endpoint than before, and why. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from regulars.model.generation import Generation


@dataclass(frozen=True, slots=True)
class Move:
    """One change of endpoint; `reason` is why the new one was chosen."""

    at_us: int
    generation: str
    model: str
    from_endpoint: str
    to_endpoint: str
    reason: str


def moves(newest_first: Sequence[Generation]) -> list[Move]:
    """Find where a model's requests moved, newest first; what reached no endpoint moved nowhere."""
    found: list[Move] = []
    last: dict[str, str] = {}
    for row in reversed(newest_first):
        if row.endpoint is None or not row.attempts:
            continue
        before = last.get(row.model)
        if before is not None and before != row.endpoint:
            reason = row.attempts[-1].reason
            found.append(Move(row.created_at_us, row.id, row.model, before, row.endpoint, reason))
        last[row.model] = row.endpoint
    return found[::-1]
