"""Which cores the run uses, and what machine it ran on."""

import os
import platform
import resource
import shutil
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.children import SEARCH_PATH
from bench.errors import BenchError

LIBRARIES = ("uvicorn", "uvloop", "httptools", "starlette", "msgspec")


@dataclass(frozen=True, slots=True)
class Cores:
    """`measured` carries the proxy alone; origin and load share `other`."""

    measured: int
    other: int


def pick_cores() -> Cores:
    """Take the last allowed core for the proxy and the first for the rest."""
    if not hasattr(os, "sched_getaffinity"):
        raise BenchError(f"the harness reads /proc, so it needs Linux, not {platform.system()!r}")
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(measured=allowed[-1], other=allowed[0])


def raise_open_files() -> None:
    """Let the children open as many files as the hard limit allows: two per open stream."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def describe(cores: Cores) -> list[str]:
    """One line each: processor, Python, libraries, nginx."""
    allowed = len(os.sched_getaffinity(0))
    alone = "" if cores.measured != cores.other else ", ONE core for everything: ratios only"
    return [
        f"{_cpu_model()}, {allowed} cores, proxy pinned to one{alone}",
        f"Linux {platform.release()}, Python {platform.python_version()}",
        ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
        _nginx_version(),
    ]


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _nginx_version() -> str:
    nginx = shutil.which("nginx", path=SEARCH_PATH)
    assert nginx is not None, "its presence is checked first"
    ran = subprocess.run([nginx, "-v"], capture_output=True, text=True, timeout=10, check=True)
    return ran.stderr.strip().removeprefix("nginx version: ")
