"""Rows of many open streams in one worker: memory of each, and how far apart its chunks come."""

from functools import partial

from bench import cpu
from bench.report import Bar, Row
from bench.stage import Stage
from bench.streamed import cost_of_chunk_us
from bench.streams import Pace
from bench.target import Target

OPEN_STREAMS = 5000
QUICK_STREAMS = 200
MEMORY_BAR = Bar(now=40)
GAP_BAR = Bar(now=2)
"""The longest time between two chunks of a stream, in the origin's intervals."""


def run_open_streams(stage: Stage, gateway: Target, nginx: Target) -> None:
    """Measure them; a stream that is dropped, cut or short ends the run."""
    streams = QUICK_STREAMS if stage.options.quick else OPEN_STREAMS
    # Twenty seconds of stream, opened within ten: all are open together, though some begin late.
    pace = Pace(streams, chunks=20, interval_s=1.0, seconds=10.0)
    memory: list[list[float]] = []
    gaps: list[list[float]] = []
    for target in (gateway, nginx):
        before = cpu.largest_memory(target.pid)
        seen: list[cpu.Memory] = []
        look = partial(_look, target.pid, seen)
        _, result = cost_of_chunk_us(stage, target, pace, when_open=look)
        memory.append([(seen[0].pss_mb - before.pss_mb) * 1024 / streams])
        gaps.append([result.gap_max_ms / 1e3 / pace.interval_s])
    note = f"growth of PSS with {streams} streams open in one worker, measured once"
    stage.add(Row("memory of an open stream", "KB", memory[0], memory[1], MEMORY_BAR, note))
    note = f"{streams} streams, none dropped; sent every {pace.interval_s:g} s"
    stage.add(Row("longest time between chunks", "intervals", gaps[0], gaps[1], GAP_BAR, note))


def _look(pid: int, seen: list[cpu.Memory]) -> None:
    seen.append(cpu.largest_memory(pid))
