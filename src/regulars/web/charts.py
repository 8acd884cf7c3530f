"""Series → shapes of charts, in percent of the plot. Pure; templates draw them as SVG.

Everything is a percentage, so a chart fills any width without scaling its text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from regulars.model.generation import Attempt
from regulars.stores.base import SeriesPoint, Sums
from regulars.web.palette import OTHER, colours
from regulars.web.periods import DAY_US, HOUR_US, MINUTE_US, Window, bar_words, moment

GRID_LINES: Final = 4
X_LABELS_MAX: Final = 9
_BAR_SHARE: Final = 0.74
_TICKS_US: Final = (
    *(minutes * MINUTE_US for minutes in (5, 10, 15)),
    *(hours * HOUR_US for hours in (1, 2, 3, 4, 6, 12)),
    *(days * DAY_US for days in (1, 2, 5, 7, 14, 30, 61, 122, 365)),
)

Measure = Callable[[Sums], int]


@dataclass(frozen=True, slots=True)
class Segment:
    """One coloured piece of a bar."""

    x: str
    y: str
    height: str


@dataclass(frozen=True, slots=True)
class Layer:
    """One group over all bars; `name` is None for requests that named nobody."""

    name: str | None
    colour: str
    values: tuple[int, ...]
    total: int
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A label at a place on an axis; `minor` ones give way on small screens."""

    at: str
    text: str
    minor: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """One bar's place: where the pointer finds it, and what it is called."""

    x: str
    words: str
    total: int


@dataclass(frozen=True, slots=True)
class StackedChart:
    """Stacked bars over time; layers from the largest, drawn from the bottom up."""

    layers: tuple[Layer, ...]
    slots: tuple[Slot, ...]
    slot_width: str
    bar_width: str
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Line:
    """A sparkline in a box of 100 by 100: the line's points and the area's path."""

    points: str
    area: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a generation's time, in percent of its whole duration."""

    x: str
    width: str


def stacked(
    points: Sequence[SeriesPoint], window: Window, *, measure: Measure, write: Callable[[int], str]
) -> StackedChart:
    """Lay out one bar a slot of the window, one layer a group."""
    table = _table(points, window, measure)
    names = sorted(table, key=lambda name: (name == OTHER, -sum(table[name]), name or ""))
    totals = [sum(column) for column in zip(*table.values(), strict=True)] or [0] * window.bars
    top, grid = _grid(max(totals))
    width = 100 / window.bars
    heights = [0] * window.bars
    palette = colours(names)
    layers: list[Layer] = []
    for name in names:
        segments: list[Segment] = []
        for index, value in enumerate(table[name]):
            if value <= 0:
                continue
            heights[index] += value
            x = (index + (1 - _BAR_SHARE) / 2) * width
            y = 100 - heights[index] * 100 / top
            segments.append(Segment(_percent(x), _percent(y), _percent(value * 100 / top)))
        values = tuple(table[name])
        layers.append(Layer(name, palette[name], values, sum(values), tuple(segments)))
    return StackedChart(
        layers=tuple(layers),
        slots=_slots(window, width, totals),
        slot_width=_percent(width),
        bar_width=_percent(width * _BAR_SHARE),
        y_ticks=tuple(Tick(_percent(100 - value * 100 / top), write(value)) for value in grid),
        x_ticks=_x_ticks(window, width),
        total=sum(totals),
    )


def bar_totals(
    points: Sequence[SeriesPoint], window: Window, measure: Callable[[Sums], float]
) -> list[float]:
    """Add up all groups in each bar."""
    totals = [0.0] * window.bars
    for point in points:
        if window.from_us <= point.bucket_us < window.to_us:
            totals[(point.bucket_us - window.from_us) // window.bar_us] += measure(point.sums)
    return totals


def sparkline(values: Sequence[float]) -> Line:
    """Draw values from left to right; the largest touches the top, nothing is a flat line."""
    top = max(values, default=0) or 1
    step = 100 / max(1, len(values) - 1)
    points = " ".join(
        f"{index * step:.1f},{96 - 92 * value / top:.1f}" for index, value in enumerate(values)
    )
    return Line(points, f"M0,100 L{points.replace(' ', ' L')} L100,100 Z")


def waterfall(attempts: Sequence[Attempt], duration_ms: float) -> tuple[Span, ...]:
    """Place each attempt on the generation's time line, at least a hairline wide."""
    whole = max([duration_ms, *(each.started_ms + each.duration_ms for each in attempts)])
    if whole <= 0:
        return tuple(Span("0%", "100%") for _ in attempts)
    return tuple(
        Span(
            _percent(min(99.5, each.started_ms * 100 / whole)),
            _percent(max(0.5, each.duration_ms * 100 / whole)),
        )
        for each in attempts
    )


def merged(points: Sequence[SeriesPoint]) -> list[tuple[str | None, Sums]]:
    """Add up each group over all its buckets, by cost, then requests, descending."""
    groups: dict[str | None, list[Sums]] = {}
    for point in points:
        groups.setdefault(point.group, []).append(point.sums)
    rows = [(name, added(sums)) for name, sums in groups.items()]
    return sorted(
        rows,
        key=lambda row: (row[0] == OTHER, -row[1].cost_nanousd, -row[1].requests, row[0] or ""),
    )


def added(many: Sequence[Sums]) -> Sums:
    """Add figures up, field by field."""
    return Sums(*(sum(getattr(each, name) for each in many) for name in Sums.__slots__))


def _table(
    points: Sequence[SeriesPoint], window: Window, measure: Measure
) -> Mapping[str | None, list[int]]:
    table: dict[str | None, list[int]] = {}
    for point in points:
        if not window.from_us <= point.bucket_us < window.to_us:
            continue
        row = table.setdefault(point.group, [0] * window.bars)
        row[(point.bucket_us - window.from_us) // window.bar_us] += measure(point.sums)
    return table


def _grid(highest: int) -> tuple[int, list[int]]:
    """Choose round grid lines above zero: (top of the plot, the lines)."""
    rough = max(1, -(-highest // GRID_LINES))
    size = 10 ** (len(str(rough)) - 1)
    step = next(nice * size // 10 for nice in (10, 20, 25, 50, 100) if nice * size // 10 >= rough)
    lines = max(1, -(-highest // step))
    return step * lines, [step * line for line in range(1, lines + 1)]


def _slots(window: Window, width: float, totals: Sequence[int]) -> tuple[Slot, ...]:
    return tuple(
        Slot(
            _percent(index * width),
            bar_words(window.from_us + index * window.bar_us, window.bar_us),
            total,
        )
        for index, total in enumerate(totals)
    )


def _x_ticks(window: Window, width: float) -> tuple[Tick, ...]:
    wanted_us = max(window.bar_us, (window.to_us - window.from_us) / X_LABELS_MAX)
    tick_us = next((tick for tick in _TICKS_US if tick >= wanted_us), _TICKS_US[-1])
    ticks: list[Tick] = []
    for index in range(window.bars):
        start_us = window.from_us + index * window.bar_us
        if start_us % tick_us >= window.bar_us:
            continue
        at = _percent((index + 0.5) * width)
        ticks.append(Tick(at, _tick_words(start_us, tick_us), minor=len(ticks) % 2 == 1))
    return tuple(ticks)


def _tick_words(start_us: int, tick_us: int) -> str:
    start = moment(start_us)
    if tick_us >= DAY_US or start_us % DAY_US == 0:
        return f"{start.day} {start:%b}"
    return f"{start:%H:%M}"


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"
