"""Rows of the result: figures, bars, verdicts, as a printed table and as Markdown."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

HEADINGS = ("what", "gateway", "nginx", "ratio", "bar", "verdict", "note")
WRITTEN = (*HEADINGS, "measured")
RESULTS = Path(__file__).resolve().parent / "RESULTS.md"


@dataclass(frozen=True, slots=True)
class Bar:
    """What a row must reach now, and the goal beyond; `ratio` is a goal against nginx."""

    now: float
    goal: float | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; a figure per repeat, gateway and nginx paired in order."""

    what: str
    unit: str
    gateway: Sequence[float] = ()
    nginx: Sequence[float] = ()
    bar: Bar | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Median of the pairs' ratios: a pair shares its minute, so drift cancels out."""
        pairs = zip(self.gateway, self.nginx, strict=False)
        ratios = [gateway / nginx for gateway, nginx in pairs if nginx > 0]
        return statistics.median(ratios) if ratios else None

    @property
    def verdict(self) -> str:
        """`pass` and `goal` by the median; `MISS` is for the reader, not an error."""
        if self.bar is None or not self.gateway:
            return ""
        value = statistics.median(self.gateway)
        if value > self.bar.now:
            return "MISS"
        goal_met = self.bar.goal is None or value <= self.bar.goal
        ratio_met = self.bar.ratio is None or (self.ratio or 0.0) <= self.bar.ratio
        return "pass" if goal_met and ratio_met else "pass, goal missed"


def print_table(rows: Sequence[Row]) -> None:
    """Print aligned columns."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    for line in cells:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)))


def write_results(
    rows: Sequence[Row], *, machine: Sequence[str], settings: str, path: Path = RESULTS
) -> Path:
    """Put the rows into RESULTS.md; those not measured now stay as they are."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    kept = _written_rows(path)
    kept.update({row.what: (*_cells(row), today) for row in rows})
    table = [WRITTEN, ("---",) * len(WRITTEN), *kept.values()]
    lines = [
        "# What Regulars costs beside nginx",
        "",
        f"Written by `make bench` with `--write`, last on {today}: {settings}.",
        "CPU is utime + stime of all processes of the proxy; figures are medians (least-most).",
        "",
        *(f"- {line}" for line in machine),
        "",
        *(f"| {' | '.join(line)} |" for line in table),
        "",
    ]
    path.write_text("\n".join(lines))
    return path


def _written_rows(path: Path) -> dict[str, tuple[str, ...]]:
    if not path.exists():
        return {}
    lines = [line[2:-2].split(" | ") for line in path.read_text().splitlines() if line[:2] == "| "]
    return {cells[0]: tuple(cells) for cells in lines[2:] if len(cells) == len(WRITTEN)}


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}x"
    return (
        row.what,
        _spread(row.gateway, row.unit),
        _spread(row.nginx, row.unit),
        ratio,
        _bar(row.bar, row.unit),
        row.verdict,
        row.note,
    )


def _spread(values: Sequence[float], unit: str) -> str:
    if not values:
        return ""
    median = f"{_number(statistics.median(values))} {unit}"
    if len(values) == 1:
        return median
    return f"{median} ({_number(min(values))}-{_number(max(values))})"


def _bar(bar: Bar | None, unit: str) -> str:
    if bar is None:
        return ""
    goals = [] if bar.goal is None else [f"{bar.goal:g}"]
    goals += [] if bar.ratio is None else [f"{bar.ratio:g}x"]
    goal = f", goal {' and '.join(goals)}" if goals else ""
    return f"<= {bar.now:g} {unit}{goal}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
