"""The role of who keeps what becomes of scheduled reports."""

from dataclasses import dataclass
from typing import Literal, Protocol

DeliveryStatus = Literal["running", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One scheduled report on its way: due when, where to, and how it went."""

    id: int
    report: str
    due_us: int
    started_us: int
    ended_us: int | None = None
    status: DeliveryStatus = "running"
    target: str = ""
    attempts: int = 0
    bytes: int | None = None
    error: str | None = None


class Deliveries(Protocol):
    """Who delivers which scheduled report, and how that went. Blocking, quick.

    Every method raises StoreError when it cannot be asked.
    """

    def last_due(self, report: str, now_us: int) -> int:
        """Return when this report was last due and taken, or first heard of: now, if it is new."""
        ...

    def unfinished(self, report: str, before_us: int) -> list[int]:
        """Return due times whose delivery began before then and never ended."""
        ...

    def claim(self, wanted: Delivery, *, lost_before_us: int) -> int | None:
        """Take a delivery for oneself, return its id; None where another has it or had it.

        One that began before `lost_before_us` and never ended may be taken over.
        """
        ...

    def end(self, delivery: Delivery) -> None:
        """Record how it went."""
        ...

    def newest(self, limit: int) -> list[Delivery]:
        """Return deliveries, the newest first."""
        ...
