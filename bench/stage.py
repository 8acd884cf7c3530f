"""What every section works with: the running servers, the cores, the options; and one reading."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bench import cpu
from bench.children import Children
from bench.gateway import ledger_rows, settled_rows
from bench.machine import Cores
from bench.options import Options
from bench.report import Row
from bench.target import Target

T = TypeVar("T")


@dataclass(slots=True)
class Stage:
    """One run. `faults` are what broke without ending the run."""

    options: Options
    children: Children
    cores: Cores
    origin_port: int
    rows: list[Row] = field(default_factory=list[Row])
    faults: list[str] = field(default_factory=list[str])

    def add(self, row: Row) -> None:
        """Keep a row of the result."""
        self.rows.append(row)


def measure(
    stage: Stage,
    target: Target,
    load: Callable[[], T],
    *,
    answers: Callable[[T], int],
    cut_off_max: int,
) -> tuple[T, float]:
    """Run a load; give its result and the CPU seconds the target spent on it.

    The ledger must then hold one row for each answer, and at most `cut_off_max` more: requests
    that were under way when the load stopped.
    """
    rows_before = ledger_rows(target.store) if target.store else 0
    ticks_before = cpu.read_ticks(target.pid)
    result = load()
    if target.store:
        answered = answers(result)
        rows = settled_rows(target.store, at_least=rows_before + answered) - rows_before
        _judge_ledger(stage, target, rows=rows, answered=answered, cut_off_max=cut_off_max)
    spent_s = cpu.seconds_between(ticks_before, cpu.read_ticks(target.pid))
    return result, spent_s


def _judge_ledger(
    stage: Stage, target: Target, *, rows: int, answered: int, cut_off_max: int
) -> None:
    print(f"    ledger: {rows} rows for {answered} answers, {rows - answered} cut off")
    if not answered <= rows <= answered + cut_off_max:
        stage.faults.append(
            f"{target.name}: {rows} ledger rows for {answered} answers "
            f"and at most {cut_off_max} cut off"
        )
