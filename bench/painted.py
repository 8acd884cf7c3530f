"""When a browser paints the pages of a full ledger: a gateway in a process of its own, Chromium beside it.

python -m bench.painted FILE --from 2025-10-10 --to 2025-11-08

`FILE` is a ledger that `python -m bench.asked` filled; a management key is made in it. Each page is
opened with an empty browser cache. Prints, in milliseconds: first contentful paint, the whole page,
CPU of the gateway's process; and the bytes that were sent.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from bench.children import SEARCH_PATH, free_port
from bench.cpu import read_ticks, seconds_between
from bench.errors import BenchError
from bench.gateway import CONFIG
from bench.streams import ROOT

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY_LIMIT_S = 200.0
"""A file of an older schema is migrated at the start."""
PAGES = (
    "/activity?group=user",
    "/activity?group=model",
    "/activity?group=provider&metric=tokens",
    "/users?",
    "/users?show=grew",
    "/users?show=stopped",
    "/users?q=999",
    "/users/user-7?",
    "/models?",
    "/routing?",
    "/identifiers?",
)
TIMES = """() => ({
  paint: performance.getEntriesByName('first-contentful-paint')[0].startTime,
  whole: performance.getEntriesByType('navigation')[0].responseEnd,
  bytes: performance.getEntriesByType('navigation')[0].encodedBodySize,
})"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One page opened once; times in milliseconds."""

    paint: float
    whole: float
    cpu: float
    size: int


@dataclass(frozen=True, slots=True)
class Site:
    """A running gateway."""

    url: str
    pid: int
    key: str


def main() -> None:
    """Open every page a few times; print the medians and the slowest paint."""
    parser = argparse.ArgumentParser(prog="bench.painted", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--from", dest="first", default="2025-10-10")
    parser.add_argument("--to", dest="last", default="2025-11-08")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument(
        "--source", type=Path, default=ROOT / "src", help="the gateway's tree, to compare versions"
    )
    given = parser.parse_args()
    dates = f"from={given.first}&to={given.last}"
    with (
        _gateway(given.file.resolve(), given.source.resolve()) as site,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores, {dates}")
        print(f"{'page':42}{'paint':>8}{'slowest':>9}{'whole':>8}{'CPU':>8}{'bytes':>9}")
        for page in PAGES:
            path = page + ("" if page.endswith("?") else "&") + dates
            _print(page, [_visit(browser, site, path) for _ in range(given.times)])
        browser.close()


def _print(page: str, visits: Sequence[Visit]) -> None:
    paint, whole, cpu = (
        statistics.median(getattr(visit, name) for visit in visits)
        for name in ("paint", "whole", "cpu")
    )
    slowest = max(visit.paint for visit in visits)
    print(f"{page:42}{paint:8.0f}{slowest:9.0f}{whole:8.0f}{cpu:8.0f}{visits[0].size:9,}")


def _visit(browser: Browser, site: Site, path: str) -> Visit:
    context = browser.new_context(extra_http_headers={"Authorization": f"Bearer {site.key}"})
    page = context.new_page()
    before = read_ticks(site.pid)
    page.goto(site.url + path, wait_until="load")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    cpu = seconds_between(before, read_ticks(site.pid)) * 1000
    times = page.evaluate(TIMES)
    context.close()
    return Visit(times["paint"], times["whole"], cpu, int(times["bytes"]))


@contextmanager
def _gateway(store: Path, source: Path) -> Generator[Site]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "regulars.toml"
        config.write_text(CONFIG.format(store=store, origin_port=port, per_key=""))
        environment = {
            "PATH": SEARCH_PATH,
            "PYTHONPATH": str(source),
            "REGULARS_HOME": folder,
            "BENCH_UPSTREAM_KEY": "bench",
        }
        command = [sys.executable, "-m", "regulars"]
        options = ["--config", str(config)]
        made = subprocess.run(
            [*command, "keys", "create", "--name", "painted", "--management", "--json", *options],
            env=environment,
            capture_output=True,
            text=True,
            timeout=READY_LIMIT_S,
            check=True,
        )
        child = subprocess.Popen(
            [*command, "serve", "--port", str(port), "--workers", "1", *options],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            site = Site(f"http://127.0.0.1:{port}", child.pid, _secret(made.stdout))
            _wait_ready(site)
            yield site
        finally:
            child.terminate()
            child.wait(READY_LIMIT_S)


def _secret(printed: str) -> str:
    found = re.search(r"sk-reg-[\w-]+", json.dumps(printed))
    if not found:
        raise BenchError("`regulars keys create` printed no key")
    return found[0]


def _wait_ready(site: Site) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{site.url}/readyz", timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise BenchError(f"the gateway was not ready after {READY_LIMIT_S} s")


if __name__ == "__main__":
    main()
