"""CPU time and memory of a process with all its descendants, from /proc."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory: RSS counts shared pages fully, PSS by share."""

    rss_mb: float
    pss_mb: float


def read_ticks(root: int) -> dict[int, int]:
    """User and system ticks of each process of the family of `root`, threads included."""
    stats = _all_stats()
    return {pid: stats[pid].ticks for pid in _family(root, stats)}


def seconds_between(before: Mapping[int, int], after: Mapping[int, int]) -> float:
    """CPU seconds the family spent between two readings.

    Raises:
        BenchError: a process ended in between and took its ticks with it.
    """
    gone = before.keys() - after.keys()
    if gone:
        raise BenchError(f"{len(gone)} measured process(es) ended under load; see its log")
    return (sum(after.values()) - sum(before.values())) / TICKS_PER_S


def largest_memory(root: int) -> Memory:
    """Memory of the family's largest process: the worker, where there is a supervisor."""
    family = _family(root, _all_stats())
    return max((_memory(pid) for pid in family), key=lambda memory: memory.rss_mb)


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    ticks: int


def _all_stats() -> dict[int, _Stat]:
    stats: dict[int, _Stat] = {}
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        # The name in parentheses may hold spaces: fields are counted from behind it.
        fields = text.rpartition(")")[2].split()
        stats[int(folder.name)] = _Stat(int(fields[1]), int(fields[11]) + int(fields[12]))
    return stats


def _family(root: int, stats: Mapping[int, _Stat]) -> list[int]:
    if root not in stats:
        raise BenchError(f"process {root} is gone; see its log")
    family = [root]
    for member in family:  # grows as it is walked; bounded by the number of processes
        family += [pid for pid, stat in stats.items() if stat.parent == member]
    return family


def _memory(pid: int) -> Memory:
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
    return Memory(kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024)
