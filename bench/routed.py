"""Rows of routing: what a decision costs, and the bar of the routing paper on a real trace."""

import json
import subprocess
import sys
from typing import Any

from bench.errors import BenchError
from bench.report import Bar, Row
from bench.stage import Stage
from bench.streams import ROOT

LIMIT_S = 240.0
"""The usual run takes 40 s of CPU."""
WARM_BAR = Bar(now=5)
COLD_BAR = Bar(now=25)
MANY_BAR = Bar(now=60)
MEMORY_BAR = Bar(now=250)


def run_routed(stage: Stage) -> None:
    """Measure in a process of its own, on the measured core and of the tree asked for."""
    measured = _measured(stage)
    for name, words in (("8", "8 endpoints"), ("64", "64 endpoints")):
        even, uneven = (measured[f"endpoints_{name}{kind}"] for kind in ("", "_weighted"))
        for temper, bar in (("warm", WARM_BAR), ("cold", COLD_BAR)):
            figure, note = f"{temper}_us", f"unequal weights {uneven[f'{temper}_us']:g} us"
            bar_of = bar if name == "8" else MANY_BAR
            stage.add(
                Row(f"decision, {temper}, {words}", "us", [even[figure]], bar=bar_of, note=note)
            )
    if measured["memory_mb_1m_keys"] is not None:
        known = [measured["memory_mb_1m_keys"]]
        stage.add(Row("1 M known keys", "MB", known, bar=MEMORY_BAR, note="allocated"))
    for figure in measured["replays"]:
        stage.add(
            Row(figure["what"], figure["unit"], [figure["value"]], bar=Bar(now=figure["bar"]))
        )
    if not measured["replays"]:
        stage.add(Row("replay of a real trace", "", note="no traces in ../shared/traces"))


def _measured(stage: Stage) -> dict[str, Any]:
    command = ["taskset", "-c", str(stage.cores.measured), sys.executable, "-m", "bench.routing"]
    done = subprocess.run(
        command + (["--quick"] if stage.options.quick else []),
        cwd=ROOT,
        env={"PYTHONPATH": str(stage.options.source)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"routing: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)
