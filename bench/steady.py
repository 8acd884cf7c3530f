"""A steady pace from a process of its own: what `bench.paced` found."""

import json
import sys
from dataclasses import asdict
from typing import Any

from bench.errors import BenchError
from bench.paced import Job
from bench.stage import Stage
from bench.streams import ROOT
from bench.target import Target

SLACK_S = 60.0


def paced(stage: Stage, target: Target, rate: float) -> dict[str, Any]:
    """Ask at `rate` requests a second: how many answers came, and their p50 and p99 in ms."""
    job = Job(target.port, target.key, rate, stage.options.seconds)
    command = [sys.executable, "-m", "bench.paced"]
    environment = {"PYTHONPATH": str(ROOT)}
    child = stage.children.start(
        "paced", command, core=stage.cores.other, environment=environment, pipes=True
    )
    try:
        output, _ = child.communicate(
            json.dumps(asdict(job)).encode() + b"\n", timeout=job.seconds + SLACK_S
        )
    finally:
        stage.children.end(child)
    if child.returncode:
        raise BenchError(f"paced requests broke: {stage.children.tail('paced')}")
    return json.loads(output)
