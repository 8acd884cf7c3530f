"""`regulars serve` as a whole: the demo's real servers behind it, its life from start to end."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

WAIT_S = 60.0


def environment(folder: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}  # noqa: TID251 - for the child
    return {**kept, "REGULARS_HOME": str(folder / "home"), "REGULARS_DISCOVER": "demo"}


@contextmanager
def serving(folder: Path, *arguments: str) -> Generator[tuple[subprocess.Popen[str], str]]:
    """Start the gateway on a free port; gives the process and its banner."""
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "regulars", "serve", "--port", "0", *arguments],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    # reading the banner is bounded by this
    killer = threading.Timer(WAIT_S, process.kill)
    killer.start()
    try:
        yield process, banner_of(process)
    finally:
        killer.cancel()
        process.kill()
        process.communicate()


def banner_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    text = ""
    for line in process.stdout:
        text += line
        if line.strip().startswith("activity"):
            return text
    raise AssertionError(f"no banner, only: {text!r}")


def address_in(banner: str) -> str:
    found = re.search(r"http://(127\.0\.0\.1:\d+)/api/v1", banner)
    assert found
    return found[1]


def keys_in(banner: str) -> list[str]:
    return re.findall(r"sk-reg-[\w-]+", banner)


def chat(address: str, key: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(address, timeout=30)
    body = {
        "model": "demo/tiny-chat",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 8,
        "user": "user_ada",
    }
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    document: dict[str, Any] = json.loads(answer.read())
    connection.close()
    return answer.status, document


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *descendants(child))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_first_start_gives_keys_that_work_and_ends_cleanly(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path, "--workers", workers) as (process, banner):
        inference, management = keys_in(banner)
        status, answer = chat(address_in(banner), inference)
        refused, _ = chat(address_in(banner), management)

        process.send_signal(signal.SIGTERM)
        code = process.wait(WAIT_S)

    assert "Aurora, Boreal, Cascade" in banner
    assert status == 200
    assert answer["usage"]["completion_tokens"] == 8
    assert refused == 403
    assert code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_outlives_a_killed_gateway(tmp_path: Path, workers: str) -> None:
    with serving(tmp_path, "--workers", workers) as (process, _):
        family = descendants(process.pid)

        process.kill()

        assert len(family) >= 3
        assert until(lambda: not any(is_alive(pid) for pid in family))


def test_a_second_start_shows_no_keys(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, first):
        pass

    with serving(tmp_path) as (_, second):
        pass

    assert len(keys_in(first)) == 2
    assert keys_in(second) == []
    assert "regulars keys create" in second


def test_the_users_of_the_demo_find_warm_caches(tmp_path: Path) -> None:
    with serving(tmp_path) as (_, banner):
        done = subprocess.run(
            [
                *(sys.executable, "-m", "regulars", "demo", "--users", "12"),
                *("--url", f"http://{address_in(banner)}"),
            ],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    shares = re.search(r"of them cached.*?([\d.]+)%", done.stdout)
    assert done.returncode == 0, done.stderr
    assert shares
    assert float(shares[1]) > 50
    assert f"http://{address_in(banner)}/activity" in done.stdout
