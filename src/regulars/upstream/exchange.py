"""One request and its answer over a connection: the states it passes and the terms it is under.

The states are plain ints because they are compared once per piece of every stream.
"""

from dataclasses import dataclass
from typing import Final

from regulars.model.catalog import Timeouts

IDLE: Final = 0
"""Nothing is asked."""
HEAD: Final = 1
"""Asked; status and headers are not complete."""
BODY: Final = 2
"""Status and headers are here, the body is coming."""
DONE: Final = 3
"""The whole answer is here."""
DEAD: Final = 4
"""Broken, aborted or cancelled: `error` says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an exchange says first and how long it waits, made once per route.

    `peer` names provider and origin in messages. `tick_s` is the shortest of the timeouts.
    """

    peer: str
    head: bytes
    timeouts: Timeouts
    tick_s: float
