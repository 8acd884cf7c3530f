"""Rows of whole answers: CPU a request, and the ledger's share of it."""

import statistics
import subprocess
import sys

from bench.durable import run_durable
from bench.gateway import install, start_gateway
from bench.load import Answers, Shape, run_wrk
from bench.report import Bar, Row
from bench.stage import Stage, measure
from bench.target import Target

BAR = Bar(now=150, goal=100, ratio=6)
LEDGER_BAR = Bar(now=1.3)
WARM_UP = Shape(seconds=1)
LEDGER_OFF = {"REGULARS_LEDGER__ENABLED": "false"}
PROBE = "from regulars.config.schema import LedgerTable as t; print('enabled' in t.model_fields)"


def run_whole(stage: Stage, gateway: Target, nginx: Target) -> None:
    """Measure whole answers."""
    shape = Shape(seconds=stage.options.seconds)
    if not stage.options.quick:
        for target in (gateway, nginx):
            cost_of_answer_us(stage, target, WARM_UP)
    stage.add(against_nginx(stage, "whole answer", shape, (gateway, nginx), BAR))
    _ledger_off(stage, gateway, shape)


def against_nginx(
    stage: Stage, what: str, shape: Shape, targets: tuple[Target, Target], bar: Bar | None
) -> Row:
    """Load both in turn; the row of what a request costs."""
    costs: tuple[list[float], list[float]] = ([], [])
    rates: list[float] = []
    for _ in range(stage.options.repeats):
        for target, figures in zip(targets, costs, strict=True):
            cost_us, answers = cost_of_answer_us(stage, target, shape)
            figures.append(cost_us)
            if target.store:
                rates.append(answers.requests / answers.seconds)
    note = f"{statistics.median(rates):.0f} requests/s, {shape.connections} connections"
    return Row(what, "us", costs[0], costs[1], bar, note)


def _ledger_off(stage: Stage, gateway: Target, shape: Shape) -> None:
    what = "whole answer, ledger off"
    if not _offers_ledger_switch(stage):
        stage.add(Row(what, "us", note="an older tree, without the switch"))
        return
    installation = install(
        stage.children,
        name="gateway-ledger-off",
        source=stage.options.source,
        origin_port=stage.origin_port,
        core=stage.cores.measured,
        switches=LEDGER_OFF,
    )
    started = start_gateway(stage.children, installation, core=stage.cores.measured)
    # Nothing to count there: the switch is what says so.
    off = Target(started.target.name, started.target.port, started.target.pid, installation.key)
    with_us: list[float] = []
    without_us: list[float] = []
    cost_of_answer_us(stage, off, WARM_UP)
    rates: list[float] = []
    for _ in range(stage.options.repeats):
        cost_us, answers = cost_of_answer_us(stage, gateway, shape)
        with_us.append(cost_us)
        rates.append(answers.requests / answers.seconds)
        without_us.append(cost_of_answer_us(stage, off, shape)[0])
    run_durable(stage, gateway, off, full_rate=statistics.median(rates))
    stage.children.end(started.child)
    stage.add(Row(what, "us", without_us, note="[ledger] enabled = false"))
    ratios = [on / none for on, none in zip(with_us, without_us, strict=True)]
    stage.add(Row("ledger on against off", "x", ratios, bar=LEDGER_BAR, note="of pairs in turn"))


def _offers_ledger_switch(stage: Stage) -> bool:
    environment = {"PYTHONPATH": str(stage.options.source)}
    command = [sys.executable, "-c", PROBE]
    ran = subprocess.run(command, env=environment, capture_output=True, timeout=30, check=False)
    return ran.stdout.strip() == b"True"


def cost_of_answer_us(stage: Stage, target: Target, shape: Shape) -> tuple[float, Answers]:
    """Load one target: CPU a request, and what came back."""
    answers, spent_s = measure(
        stage,
        target,
        lambda: run_wrk(stage.children, target, shape, core=stage.cores.other),
        answers=lambda result: result.requests,
        cut_off_max=shape.connections,
    )
    cost_us = spent_s / answers.requests * 1e6
    print(f"  {target.name}: {cost_us:.1f} us of CPU a request, {answers.requests} requests")
    return cost_us, answers
