"""Some seconds of mixed load over bad upstreams; `make bench ARGS=--long` goes on for minutes."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from fakes.served_process import config_text, served_process

ROOT = Path(__file__).resolve().parents[2]
WARM_S = 3.0
SECONDS = 10.0
UPSTREAMS = 3
SHORT = (
    "[server]\nheader_timeout_s = 1\nbody_timeout_s = 1\nwrite_stall_timeout_s = 2\n"
    "[upstream]\nidle_connection_s = 1\nfirst_byte_timeout_s = 2\nidle_timeout_s = 2\n"
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.fixture(autouse=True)
def _bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT))
    yield
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "bench":
            del sys.modules[name]


@contextmanager
def faulty_upstream(seed: int) -> Generator[str]:
    """Run `bench.faulty` and give its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "bench.faulty", str(port), str(seed)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            wait_listening(port)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def wait_listening(port: int) -> None:
    deadline = time.monotonic() + 20.0
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"nobody listens on {port}")


def test_after_mixed_load_over_bad_upstreams_nothing_is_missing_or_left(tmp_path: Path) -> None:
    from bench.process import open_sockets
    from bench.soak import Subject, judge, soak
    from bench.target import MODEL

    with ExitStack() as stack:
        urls = [stack.enter_context(faulty_upstream(seed)) for seed in range(UPSTREAMS)]
        config = config_text(tmp_path, {f"p{n}": url for n, url in enumerate(urls)}, more=SHORT)
        config = config.replace("test/tiny", MODEL)
        gateway = stack.enter_context(served_process(tmp_path, config))
        subject = Subject(
            port=int(gateway.host.rpartition(":")[2]),
            pid=(gateway.children or [gateway.process.pid])[0],
            key=gateway.keys[0],
            store=tmp_path / "regulars.db",
        )
        warm = asyncio.run(soak(subject, seconds=WARM_S, clients=12, seed=0))
        seen = asyncio.run(soak(subject, seconds=SECONDS, clients=12))
        seen.asked += warm.asked
        faults = judge(subject, seen, idle_sockets=open_sockets(subject.pid))
        log = "".join(gateway.log.lines)

    assert faults == [], log[-3000:]
    assert len(seen.ids) > 100
    assert "Traceback" not in log
    assert "attempt_failed" in log
