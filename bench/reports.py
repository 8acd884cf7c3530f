"""Rows of reports: what questions and exports take, and what requests notice of them."""

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from bench.errors import BenchError
from bench.gateway import Installation, install, start_gateway
from bench.report import Bar, Row
from bench.stage import Stage
from bench.steady import paced
from bench.streams import ROOT

SIZES = {"quick": (20_000, 2_000), "usual": (300_000, 20_000), "long": (5_000_000, 100_000)}
FILL_LIMIT_S = 3000.0
RATE = 500.0
CALL_LIMIT_S = 60.0
BARS = (
    ("top_ms", "top 100 users of 30 days", Bar(now=250), "by each metric in turn; slowest"),
    (
        "top_any_day_ms",
        "the same from any first day",
        Bar(now=250),
        "by cost, cached share, duration p90, sessions: slowest",
    ),
    ("one_ms", "one user's page", Bar(now=50), ""),
    ("daily_ms", "all per day and model", Bar(now=100), ""),
    ("kathmandu_ms", "the same in a zone off by 45 minutes", Bar(now=100), ""),
    ("list_ms", "page of a filtered list", Bar(now=50), ""),
    ("rare_list_ms", "page of a list by a rare model", Bar(now=50), "1 in 50,000 rows"),
)
RANKED = ("top_ms", "top_any_day_ms")
"""Their bar is that of the long bench's store."""
MONTH = "from=2025-10-10&to=2025-11-08"
"""Days that `bench.asked` fills."""
QUESTIONS = (
    f"/api/v1/users?sort=cost&{MONTH}",
    f"/api/v1/users?sort=cached_share&{MONTH}",
    f"/api/v1/users?sort=duration_p90&{MONTH}",
    f"/api/v1/users/user-7?{MONTH}",
    f"/api/v1/activity?{MONTH}",
)
EXPORT = ("/api/v1/activity/export?from=2025-01-01",)


def run_reports(stage: Stage) -> None:
    """Measure on a filled store: questions by themselves, then beside requests."""
    options = stage.options
    size = "quick" if options.quick else "long" if options.long else "usual"
    rows, users = SIZES[size]
    words = f"{rows:,} rows, {users:,} users, CPU"
    store = stage.children.folder / "reports.db"
    measured = _asked(stage, store, "--rows", str(rows), "--users", str(users))
    # Another process: its memory is not that of filling.
    measured |= _asked(stage, store, "--exported")
    for figure, what, bar, note in BARS:
        told = f"{note}: {measured['top_by']}" if figure == "top_ms" else note or words
        # Rankings of fewer rows may be exact where these are not, and take as long as that takes.
        held = bar if options.long or figure not in RANKED else None
        row = Row(f"{what} of {rows:,} rows", "ms", [measured[figure]], bar=held, note=told)
        stage.add(row)
    count = f"{measured['export_rows']:,.0f} rows"
    cpu = f"{count}, CPU {measured['export_cpu_us']:.1f} us"
    stage.add(
        Row("export to CSV, a row", "us", [measured["export_wall_us"]], bar=Bar(now=20), note=cpu)
    )
    stage.add(
        Row("export to CSV, memory", "MB", [measured["memory_mb"]], bar=Bar(now=100), note=count)
    )
    _beside_requests(stage)


def _asked(stage: Stage, store: Path, *options: str) -> dict[str, Any]:
    core = ["taskset", "-c", str(stage.cores.measured)]
    command = [sys.executable, "-m", "bench.asked", str(store)]
    done = subprocess.run(
        [*core, *command, *options],
        cwd=ROOT,
        env={"PYTHONPATH": f"{stage.options.source}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=FILL_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"reports: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)


def _beside_requests(stage: Stage) -> None:
    core = stage.cores.measured
    installation = install(
        stage.children,
        name="reports",
        source=stage.options.source,
        origin_port=stage.origin_port,
        core=core,
    )
    started = start_gateway(stage.children, installation, core=core)
    management = _management_key(installation)
    ratios: dict[str, list[float]] = {"questions": [], "an export": []}
    notes: dict[str, str] = {}
    paced(stage, started.target, RATE)
    for _ in range(min(stage.options.repeats, 3)):
        alone = paced(stage, started.target, RATE)
        for what, paths in (("questions", QUESTIONS), ("an export", EXPORT)):
            with _Asking(started.target.port, management, paths) as asking:
                beside = paced(stage, started.target, RATE)
            ratios[what].append(beside["p99_ms"] / alone["p99_ms"])
            notes[what] = (
                f"p99 {alone['p99_ms']:.1f} -> {beside['p99_ms']:.1f} ms at {RATE:g} requests/s, "
                f"{asking.answers} answers of {asking.bytes / 1e6:.1f} MB meanwhile, "
                f"one core, load average {os.getloadavg()[0]:.1f}"
            )
    for what, found in ratios.items():
        stage.add(Row(f"p99 beside {what}", "x", found, bar=Bar(now=2), note=notes[what]))
    stage.children.end(started.child)
    print(f"  p99 beside questions {statistics.median(ratios['questions']):.2f}x")


class _Asking:
    """Asks these paths in turn, one at a time, until left."""

    def __init__(self, port: int, key: str, paths: tuple[str, ...]) -> None:
        self._port, self._paths = port, paths
        self._headers = {"Authorization": f"Bearer {key}"}
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._fault = ""
        self.answers = 0
        self.bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join(CALL_LIMIT_S)
        if self._fault:
            raise BenchError(self._fault)

    def _ask(self) -> None:
        while not self._left.is_set():
            path = self._paths[self.answers % len(self._paths)]
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=CALL_LIMIT_S)
            with closing(connection) as client:
                client.request("GET", path, headers=self._headers)
                answer = client.getresponse()
                if answer.status != http.HTTPStatus.OK:
                    self._fault = f"{path} was answered with {answer.status}"
                    return
                while not self._left.is_set() and (piece := answer.read(65536)):
                    self.bytes += len(piece)
            self.answers += 1


def _management_key(installation: Installation) -> str:
    command = [sys.executable, "-m", "regulars", "keys", "create", "--name", "reports"]
    done = subprocess.run(
        [*command, "--management", "--json", "--config", str(installation.config)],
        env={"PATH": "/usr/bin:/bin", **installation.environment},
        capture_output=True,
        text=True,
        timeout=CALL_LIMIT_S,
        check=False,
    )
    found = re.search(r"sk-reg-[\w-]+", done.stdout)
    if not found:
        raise BenchError(f"no management key: {done.stderr.strip()[-400:]}")
    return found[0]
