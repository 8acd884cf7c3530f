"""Rows of what durability adds to an answer: latency with the ledger less that without, half loaded."""

import os

from bench.report import Bar, Row
from bench.stage import Stage
from bench.steady import paced
from bench.target import Target

BARS = {"p50": Bar(now=2), "p99": Bar(now=10)}


def run_durable(stage: Stage, on: Target, off: Target, *, full_rate: float) -> None:
    """Pace both in turns at half of what the one with the ledger serves; the differences of pairs."""
    rate = full_rate / 2
    added: dict[str, list[float]] = {share: [] for share in BARS}
    for _ in range(stage.options.repeats):
        with_it, without = paced(stage, on, rate), paced(stage, off, rate)
        for share, figures in added.items():
            figures.append(with_it[f"{share}_ms"] - without[f"{share}_ms"])
        print(
            f"  at {rate:.0f} requests/s: p50 {with_it['p50_ms']:.2f} ms, p99 "
            f"{with_it['p99_ms']:.2f} ms; ledger off {without['p50_ms']:.2f}, {without['p99_ms']:.2f}"
        )
    note = f"at {rate:.0f} requests/s, half load, load average {os.getloadavg()[0]:.1f}"
    for share, figures in added.items():
        what = f"latency added by durability, {share}"
        stage.add(Row(what, "ms", figures, bar=BARS[share], note=note))
