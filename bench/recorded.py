"""Rows of the ledger by itself: what a row costs to keep, how long it waits, finding one again."""

import json
import subprocess
import sys
from typing import Any

from bench.commits import PACES
from bench.errors import BenchError
from bench.report import Bar, Row
from bench.stage import Stage
from bench.streams import ROOT

LONG_ROWS, LONG_USERS, LONG_LIMIT_S = 5_000_000, 100_000, 2400.0
ROWS, USERS, LIMIT_S = 300_000, 20_000, 300.0
QUICK_ROWS, QUICK_USERS = 10_000, 500

RATE_BAR = Bar(now=1e6 / 15_000)
"""CPU of one core a row: 15,000 rows a second."""
WAIT_BARS = {500: Bar(now=5), 2000: Bar(now=10), 15_000: Bar(now=100)}
HALF_LOAD = 2000
MEDIAN_BAR = Bar(now=2)
LOOKUP_BAR = Bar(now=0.2)
GROWN_BAR = Bar(now=10)


def run_recorded(stage: Stage) -> None:
    """Measure in a process of its own, on the measured core and of the tree asked for."""
    found = _measured(stage)
    size = f"{found['rows']:,} rows"
    disk = "the disk alone {p50:.1f} ms (p99 {p99:.1f})".format(**found["disk"])
    stage.add(
        Row(
            "ledger, a row kept, rollups and all",
            "us",
            [found["cpu_us"]],
            bar=RATE_BAR,
            note=f"CPU; {found['rows_per_s']:.0f} rows/s with the disk's waits, {size}",
        )
    )
    for rate in PACES:
        wait = found[f"wait_{rate}"]
        what = f"ledger, a row's wait at {rate} rows/s"
        note = f"p50 {wait['p50']:.2f} ms; submitted to durable; {disk}"
        stage.add(Row(f"{what}, p99", "ms", [wait["p99"]], bar=WAIT_BARS[rate], note=note))
        if rate == HALF_LOAD:
            stage.add(Row(f"{what}, p50", "ms", [wait["p50"]], bar=MEDIAN_BAR))
    stage.add(Row("ledger, point lookup", "ms", [found["lookup_ms"]], bar=LOOKUP_BAR, note=size))
    stage.add(
        Row(
            "ledger, memory grown while its second half came",
            "MB",
            [found["grown_mb"]],
            bar=GROWN_BAR,
            note=f"to {found['memory_mb']:.0f} MB, {size}",
        )
    )


def _measured(stage: Stage) -> dict[str, Any]:
    rows, users, limit_s = ROWS, USERS, LIMIT_S
    if stage.options.quick:
        rows, users = QUICK_ROWS, QUICK_USERS
    elif stage.options.long:
        rows, users, limit_s = LONG_ROWS, LONG_USERS, LONG_LIMIT_S
    command = ["taskset", "-c", str(stage.cores.measured), sys.executable, "-m", "bench.ledger"]
    command += ["--rows", str(rows), "--users", str(users), "--seconds", str(stage.options.seconds)]
    done = subprocess.run(
        command,
        cwd=stage.children.folder,
        env={"PYTHONPATH": f"{stage.options.source}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"ledger: {done.stderr.strip()[-400:]}")
    print(done.stdout, end="")
    return json.loads(done.stdout.splitlines()[-1])
