"""Series → shapes of charts, in percent of the plot. Pure; templates draw them as SVG.

Everything is a percentage, so a chart fills any width without scaling its text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from regulars.model.generation import Attempt, Generation
from regulars.stores.base import SeriesPoint, Sums
from regulars.web.palette import OTHER, colours
from regulars.web.periods import DAY_US, HOUR_US, MINUTE_US, Window, bar_words, moment

GRID_LINES: Final = 4
X_LABELS_MAX: Final = 9
CROWD_COLUMNS: Final = 32
CROWD_ROWS: Final = 5
CROWD_STEP: Final = 9
TURNS_MIN: Final = 12
"""Room for so many turns: two alone are not two walls."""
_BAR_SHARE: Final = 0.74
_TICKS_US: Final = (
    *(minutes * MINUTE_US for minutes in (5, 10, 15)),
    *(hours * HOUR_US for hours in (1, 2, 3, 4, 6, 12)),
    *(days * DAY_US for days in (1, 2)),
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


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a conversation as a column: its parts from the bottom up, in percent."""

    x: str
    width: str
    pieces: tuple[tuple[str, str, str], ...]
    """(colour class, y, height) of what was read from the cache, fresh and answered."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Dots in CROWD_COLUMNS by CROWD_ROWS places, CROWD_STEP apart: who is at home at one endpoint."""

    name: str
    count: int
    colour: str
    dots: tuple[tuple[int, int], ...]
    each: int
    """How many one dot stands for."""


def crowd(name: str, count: int, most: int, colour: str) -> Crowd:
    """Draw a count as dots; `most` is the greatest count that is drawn beside it."""
    each = max(1, -(-most // (CROWD_COLUMNS * CROWD_ROWS)))
    places = range(-(-count // each))
    dots = tuple(
        (5 + at // CROWD_ROWS * CROWD_STEP, 5 + at % CROWD_ROWS * CROWD_STEP) for at in places
    )
    return Crowd(name, count, colour, dots, each)


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
        if (bar := window.bar_of(point.bucket_us)) is not None:
            totals[bar] += measure(point.sums)
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


def turns(rows: Sequence[Generation]) -> tuple[Turn, ...]:
    """Draw a conversation's tokens, request by request, to one scale."""
    top = max((row.usage.total_tokens for row in rows if row.usage), default=0) or 1
    width = 100 / max(len(rows), TURNS_MIN)
    drawn: list[Turn] = []
    for index, row in enumerate(rows):
        height, pieces = 0.0, list[tuple[str, str, str]]()
        for colour, tokens in _turn_parts(row):
            share = tokens * 100 / top
            height += share
            pieces.append((colour, _percent(100 - height), _percent(share)))
        drawn.append(Turn(_percent(index * width), _percent(width * _BAR_SHARE), tuple(pieces)))
    return tuple(drawn)


def _turn_parts(row: Generation) -> tuple[tuple[str, int], ...]:
    if row.usage is None:
        return ()
    cached = row.usage.cached_tokens or 0
    fresh = row.usage.prompt_tokens - cached
    return ("warm", cached), ("fresh", fresh), ("answer", row.usage.completion_tokens)


def _table(
    points: Sequence[SeriesPoint], window: Window, measure: Measure
) -> Mapping[str | None, list[int]]:
    table: dict[str | None, list[int]] = {}
    for point in points:
        if (bar := window.bar_of(point.bucket_us)) is None:
            continue
        table.setdefault(point.group, [0] * window.bars)[bar] += measure(point.sums)
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
            bar_words(window.starts[index], window.end_of(index), window.zone),
            total,
        )
        for index, total in enumerate(totals)
    )


def _x_ticks(window: Window, width: float) -> tuple[Tick, ...]:
    ticks: list[Tick] = []
    for index in _labelled(window):
        at, words = _percent((index + 0.5) * width), _tick_words(window, window.starts[index])
        ticks.append(Tick(at, words, minor=len(ticks) % 2 == 1))
    return tuple(ticks)


def _labelled(window: Window) -> list[int]:
    """Choose the bars that get a label: at round hours, or every so many days."""
    if window.bar_us >= DAY_US:
        return list(range(0, window.bars, -(-window.bars // X_LABELS_MAX)))
    wanted_us = max(window.bar_us, (window.to_us - window.from_us) / X_LABELS_MAX)
    tick_us = next((tick for tick in _TICKS_US if tick >= wanted_us), DAY_US)
    return [
        index
        for index, start_us in enumerate(window.starts)
        if _wall_us(window, start_us) % tick_us < window.bar_us
    ]


def _wall_us(window: Window, at_us: int) -> int:
    """Return what the clock on the wall shows, as if it were UTC."""
    offset = moment(at_us, window.zone).utcoffset()
    assert offset is not None, "a zone always has one"
    return at_us + offset // timedelta(microseconds=1)


def _tick_words(window: Window, start_us: int) -> str:
    start = moment(start_us, window.zone)
    if window.bar_us >= DAY_US or start.hour == start.minute == 0:
        return f"{start.day} {start:%b}"
    return f"{start:%H:%M}"


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"
