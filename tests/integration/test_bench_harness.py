import http.client
import json
import os
import shutil
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_TIMEOUT_S = 120.0
END_TIMEOUT_S = 30.0
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
MISSING = [tool for tool in ("nginx", "wrk", "taskset") if not shutil.which(tool, path=SEARCH_PATH)]
needs_tools = pytest.mark.skipif(
    bool(MISSING) and os.getenv("CI") != "true",
    reason=f"no {MISSING}: apt-get install nginx wrk util-linux",
)


@pytest.fixture(autouse=True)
def _bench_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))


def bench_command(folder: Path, *options: str) -> list[str]:
    return ["env", f"TMPDIR={folder}", sys.executable, "-u", "-m", "bench", *options]


def processes_naming(folder: Path) -> list[str]:
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(str(folder).encode() in word for word in words):
            found.append(b" ".join(words).decode(errors="replace"))
    return found


@contextmanager
def running_origin() -> Generator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with subprocess.Popen([sys.executable, "-m", "bench.origin", str(port)], cwd=ROOT) as origin:
        try:
            wait_listening(port)
            yield port
        finally:
            origin.kill()


def wait_listening(port: int) -> None:
    deadline = time.monotonic() + END_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    pytest.fail(f"nobody listens on {port}")


def post(port: int, path: str, body: object) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        client.request("POST", path, json.dumps(body))
        answer = client.getresponse()
        return answer.status, answer.read()


def read_streams(port: int, *, chunks: int) -> dict[str, object]:
    job = {
        "port": port,
        "key": "none",
        "streams": 3,
        "chunks": chunks,
        "interval_s": 0.005,
        "seconds": 0.1,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "bench.reader"],
        input=json.dumps(job).encode() + b"\n",
        cwd=ROOT,
        capture_output=True,
        timeout=END_TIMEOUT_S,
        check=True,
    )
    return json.loads(ran.stdout.splitlines()[-1])


@needs_tools
def test_quick_bench_measures_every_section_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ran = subprocess.run(
        bench_command(tmp_path, "--quick"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    table = ran.stdout.partition("verdict")[2]
    measured = [line for line in table.splitlines() if " us " in line or " ms " in line]
    assert "cold start to first answer" in table
    assert "whole answer" in table
    assert "streamed chunk, 50 streams" in table
    assert len(measured) >= 5
    assert "rows for" in ran.stdout
    assert list(tmp_path.iterdir()) == []
    assert processes_naming(tmp_path) == []


@needs_tools
def test_terminated_bench_ends_its_children(tmp_path: Path) -> None:
    with subprocess.Popen(
        bench_command(tmp_path, "--quick", "--only", "whole"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as bench:
        assert bench.stdout is not None
        said = iter(bench.stdout.readline, "")
        assert "whole answers\n" in said
        while_running = processes_naming(tmp_path / "regulars-bench-")

        bench.send_signal(signal.SIGTERM)
        bench.wait(timeout=END_TIMEOUT_S)

    assert any("nginx" in command for command in while_running)
    assert bench.returncode == 143
    assert processes_naming(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_bench_refuses_to_write_partial_results() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--write"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=END_TIMEOUT_S,
        check=False,
    )

    assert ran.returncode == 1
    assert "--quick" in ran.stderr


def test_origin_answers_a_chat_of_one_kilobyte_with_usage() -> None:
    with running_origin() as port:
        status, body = post(port, "/v1/chat/completions", {"model": "echo"})

    assert status == 200
    assert 900 <= len(body) <= 1200
    assert json.loads(body)["usage"]["prompt_tokens_details"]["cached_tokens"] == 448


def test_origin_streams_at_the_pace_it_was_set() -> None:
    with running_origin() as port:
        post(port, "/pace", {"interval_s": 0.005, "chunks": 7})
        status, body = post(port, "/v1/chat/completions", {"stream": True})

    events = body.decode().removesuffix("\n\n").split("\n\n")
    assert status == 200
    assert len(events) == 8
    assert events[-1] == "data: [DONE]"
    assert json.loads(events[-2].removeprefix("data: "))["usage"]["completion_tokens"] == 100
    assert 180 <= len(events[0]) <= 240


def test_reader_counts_every_chunk_of_whole_streams() -> None:
    with running_origin() as port:
        post(port, "/pace", {"interval_s": 0.005, "chunks": 7})
        result = read_streams(port, chunks=7)

    assert result["complaints"] == []
    assert result["streams"] == pytest.approx(int(str(result["chunks"])) / 7)


def test_reader_complains_about_short_streams() -> None:
    with running_origin() as port:
        post(port, "/pace", {"interval_s": 0.005, "chunks": 7})
        result = read_streams(port, chunks=8)

    assert "7 of 8 chunks" in str(result["complaints"])


def test_reader_complains_about_streams_without_an_end() -> None:
    class CutAfterOneEvent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.request.sendall(b"a\r\ndata: {}\n\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), CutAfterOneEvent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        result = read_streams(int(server.server_address[1]), chunks=1)
        server.shutdown()
        thread.join()

    assert "cut after 1 chunks" in str(result["complaints"])


def test_cpu_of_a_target_includes_its_children() -> None:
    from bench import cpu

    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True); input()"
    with subprocess.Popen(
        # Two commands, so that the shell stays as the parent.
        ["/bin/sh", "-c", '"$0" -c "$1"; true', sys.executable, burn],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        spent_s = cpu.seconds_between({}, cpu.read_ticks(shell.pid))
        memory = cpu.largest_memory(shell.pid)
        shell.communicate(b"\n", timeout=END_TIMEOUT_S)

    assert 0.25 <= spent_s <= 1.0
    assert 3 <= memory.pss_mb <= memory.rss_mb


def test_cpu_refuses_a_target_that_lost_a_process() -> None:
    from bench import cpu
    from bench.errors import BenchError

    with pytest.raises(BenchError, match="ended under load"):
        cpu.seconds_between({1: 5, 2: 7}, {1: 6})


def test_ledger_with_too_many_rows_is_a_fault(tmp_path: Path) -> None:
    from bench.children import Children
    from bench.machine import Cores
    from bench.options import parse
    from bench.stage import Stage, measure
    from bench.target import Target

    store = tmp_path / "ledger.db"
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE generation (id TEXT)")
        stage = Stage(parse(["--quick"]), Children(tmp_path), Cores(0, 0), origin_port=1)
        target = Target("gateway", port=1, pid=os.getpid(), store=store)

        measure(
            stage,
            target,
            lambda: connection.execute("INSERT INTO generation VALUES ('a'), ('b')"),
            answers=lambda _: 1,
            cut_off_max=0,
        )

    assert stage.faults == ["gateway: 2 ledger rows for 1 answers and at most 0 cut off"]


def test_verdicts_name_misses_and_missed_goals() -> None:
    from bench.report import Bar, Row

    bar = Bar(now=150, goal=100, ratio=6)
    verdicts = [
        Row("slow", "us", [160.0], [30.0], bar).verdict,
        Row("far from nginx", "us", [90.0], [10.0], bar).verdict,
        Row("good", "us", [90.0, 95.0, 400.0], [18.0, 18.0, 90.0], bar).verdict,
    ]

    assert verdicts == ["MISS", "pass, goal missed", "pass"]
