"""Rows of the start: time to the first answer, memory of the idle worker."""

import statistics
import time

from bench import cpu
from bench.gateway import Installation, start_gateway
from bench.report import Bar, Row
from bench.stage import Stage

COLD_START_BAR = Bar(now=1.5)
IDLE_BAR = Bar(now=100)
IDLE_S = 0.5
"""What start-up still does after the first answer is given this long."""


def run_startup(stage: Stage, installation: Installation) -> None:
    """Start the gateway anew for each repeat."""
    seconds: list[float] = []
    idle: list[cpu.Memory] = []
    for _ in range(stage.options.repeats):
        started = start_gateway(stage.children, installation, core=stage.cores.measured)
        seconds.append(started.first_answer_s)
        time.sleep(IDLE_S)
        idle.append(cpu.largest_memory(started.target.pid))
        stage.children.end(started.child)
        print(f"  first answer after {seconds[-1]:.2f} s, {idle[-1].rss_mb:.0f} MB")
    note = "from the command, on one core, store and key already there"
    stage.add(Row("cold start to first answer", "s", seconds, bar=COLD_START_BAR, note=note))
    pss_mb = statistics.median(memory.pss_mb for memory in idle)
    rss_mb = [memory.rss_mb for memory in idle]
    stage.add(Row("idle worker", "MB", rss_mb, bar=IDLE_BAR, note=f"RSS; PSS {pss_mb:.0f} MB"))
