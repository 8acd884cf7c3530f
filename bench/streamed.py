"""Rows of streams: CPU a chunk, time added to the first chunk."""

import statistics
from collections.abc import Callable, Sequence

from bench.reader import Result
from bench.report import Bar, Row
from bench.stage import Stage, measure
from bench.streams import Pace, run_reader, set_pace
from bench.target import Target

BAR = Bar(now=30, goal=20, ratio=1.7)
HALF = 0.5
HALF_LOAD_STREAMS = 200
SHORTEST_INTERVAL_S = 0.004
CLUMPED_INTERVALS = 2.0
"""A p99 gap of more intervals: somebody else had the cores, or the proxy was saturated. Chunks
then come several at a time and look cheap, and waits are not the proxy's own."""


def run_streamed(stage: Stage, gateway: Target, nginx: Target) -> None:
    """Measure streams."""
    cost_us = 0.0
    for pace in stage.options.paces:
        costs: tuple[list[float], list[float]] = ([], [])
        results: list[Result] = []
        for _ in range(stage.options.repeats):
            for target, figures in zip((gateway, nginx), costs, strict=True):
                spent_us, result = cost_of_chunk_us(stage, target, pace)
                figures.append(spent_us)
                results.append(result)
        cost_us = cost_us or statistics.median(costs[0])
        what = f"streamed chunk, {pace.streams} streams"
        stage.add(Row(what, "us", costs[0], costs[1], BAR, _note(pace, results)))
    _first_chunk(stage, gateway, nginx, cost_us)


def _first_chunk(stage: Stage, gateway: Target, nginx: Target, cost_us: float) -> None:
    pace = _half_load(stage.options.paces[0], cost_us)
    results: tuple[list[Result], list[Result]] = ([], [])
    for _ in range(stage.options.repeats):
        for target, kept in zip((gateway, nginx), results, strict=True):
            kept.append(cost_of_chunk_us(stage, target, pace)[1])
    for share, through in (
        ("p50", [[result.first_p50_ms for result in kept] for kept in results]),
        ("p99", [[result.first_p99_ms for result in kept] for kept in results]),
    ):
        added = [ours - theirs for ours, theirs in zip(*through, strict=True)]
        nginx_ms = statistics.median(through[1])
        note = f"{_note(pace, results[0] + results[1])}; through nginx {nginx_ms:.2f} ms"
        stage.add(Row(f"added to the first chunk, {share}", "ms", added, note=note))


def _half_load(pace: Pace, cost_us: float) -> Pace:
    # Chosen from the cost just measured, so that the gateway's core is about half busy.
    streams = min(HALF_LOAD_STREAMS, pace.streams)
    interval_s = max(SHORTEST_INTERVAL_S, streams * cost_us / 1e6 / HALF)
    return Pace(streams, pace.chunks, interval_s=round(interval_s, 3), seconds=pace.seconds)


def cost_of_chunk_us(
    stage: Stage, target: Target, pace: Pace, *, when_open: Callable[[], None] | None = None
) -> tuple[float, Result]:
    """Read streams through one target: CPU a chunk, and what the reader saw."""
    set_pace(stage.origin_port, pace)
    result, spent_s = measure(
        stage,
        target,
        lambda: run_reader(
            stage.children, target, pace, core=stage.cores.other, when_open=when_open
        ),
        answers=lambda result: result.streams,
        cut_off_max=0,
    )
    cost_us = spent_s / result.chunks * 1e6
    print(
        f"  {target.name}: {cost_us:.1f} us of CPU a chunk, {result.chunks} chunks in "
        f"{result.streams} streams, first after {result.first_p50_ms:.2f} ms "
        f"(p99 {result.first_p99_ms:.2f}), then every {result.gap_p50_ms:.1f} ms "
        f"(p99 {result.gap_p99_ms:.1f}, most {result.gap_max_ms:.1f})"
    )
    return cost_us, result


def _note(pace: Pace, results: Sequence[Result]) -> str:
    note = f"{pace.streams / pace.interval_s:.0f} chunks/s"
    limit_ms = pace.interval_s * 1e3 * CLUMPED_INTERVALS
    clumped = sum(result.gap_p99_ms > limit_ms for result in results)
    return f"{note}; BUSY MACHINE in {clumped} of {len(results)}" if clumped else note
