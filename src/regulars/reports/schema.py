"""What can be asked of the ledger, as values: dimensions, metrics, a question, its answer.

No names of tables or of APIs' parameters here: stores compile a `ReportQuery`, faces (API,
pages, CLI, exports) build it and show the `ReportResult`. `definitions` lists what there is.
"""

from dataclasses import dataclass
from typing import Final, Literal

Step = Literal["minute", "hour", "day", "week", "month"]
Unit = Literal[
    "requests", "users", "sessions", "tokens", "nanousd", "share", "ms", "tokens/s", "us"
]
Operator = Literal["eq", "neq", "in", "not_in", "contains"]
Value = str | bool | None
"""A dimension's value; None stands for none (no user named, no provider reached)."""
Cell = str | int | float | bool | None

TIME: Final = "time"
"""The column of a bucket's start, there when a query has a step: microseconds since 1970."""

LIMIT_MAX: Final = 100_000
DIMENSIONS_MAX: Final = 6
CONDITIONS_MAX: Final = 20
VALUES_MAX: Final = 1000
BUCKETS_MAX: Final = 10_000


class ReportError(ValueError):
    """The question cannot be answered as it is put; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Sum:
    """Add a figure of every generation up; what is unknown adds nothing."""

    figure: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """One sum over another; None where the lower one is 0."""

    upper: str
    lower: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Distinct:
    """Count different values of a dimension; none is not counted."""

    dimension: str


@dataclass(frozen=True, slots=True)
class Quantile:
    """Return the smallest value that `percent` of 100 of the known ones do not exceed."""

    figure: str
    percent: int


@dataclass(frozen=True, slots=True)
class Last:
    """When the last generation was accepted."""


Formula = Sum | Ratio | Distinct | Quantile | Last


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something to group and to filter by. `openrouter`: its name in OpenRouter's analytics."""

    name: str
    label: str
    help: str
    openrouter: str | None = None
    is_flag: bool = False


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of a group of generations. `openrouter`: its names in OpenRouter's analytics."""

    name: str
    label: str
    unit: Unit
    formula: Formula
    help: str
    openrouter: tuple[str, ...] = ()

    @property
    def is_rate(self) -> bool:
        """True where groups cannot be added up: ratios, quantiles, counts of different ones."""
        return not isinstance(self.formula, Sum)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open range of time, microseconds since 1970; None is open."""

    from_us: int | None = None
    to_us: int | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """What a dimension must be. `contains` looks for a piece of text, whatever its case."""

    dimension: str
    operator: Operator
    values: tuple[Value, ...]


SOMEBODY: Final = Condition("user", "neq", (None,))
"""Leaves out what names nobody."""


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by `TIME`, a dimension or a metric of the query."""

    name: str
    descending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportQuery:
    """One question: metrics per group, of one account, where all conditions hold.

    With a `step` each bucket of time in `zone` is a group of its own; the window must then be
    closed. Without an `order` rows come by time, then by the first metric, greatest first.
    `cursor` is the `next` of an answer to the same question and order.
    """

    account: str
    metrics: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    window: Window = Window()
    step: Step | None = None
    zone: str = "UTC"
    order: tuple[Order, ...] = ()
    limit: int = 1000
    cursor: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The answer's columns: the bucket, dimensions, metrics."""
        return ((TIME,) if self.step else ()) + self.dimensions + self.metrics


@dataclass(frozen=True, slots=True)
class ReportResult:
    """An answer. Cells: money in whole nano-USD, times in microseconds, None for unknown or none.

    `cut` says why groups are missing, None when all are there; `next` goes on from the last row.
    `partial`: some groups were not looked at, so better ones may be missing; `next` finds none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    cut: str | None = None
    next: str | None = None
    partial: bool = False
