"""The supervisor in a process of its own, with workers that answer their process id."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from regulars.cli.supervisor import STOP_MARGIN_S

WAIT_S = 20.0

PROGRAM = """
import os, signal, socket, sys, time
from regulars.cli.listen import listen
from regulars.cli.log import set_up_logging
from regulars.cli.supervisor import Crew, Supervisor

def work(listener, /, *, on_ready):
    if MODE == "broken":
        return False
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listener.setblocking(True)
    on_ready()
    while True:
        connection, _ = listener.accept()
        connection.sendall(str(os.getpid()).encode())
        connection.close()

MODE = sys.argv[1]
set_up_logging()
listener = listen("127.0.0.1", 0)
port = listener.getsockname()[1]
crew = Crew(workers=2, drain_timeout_s=float(sys.argv[2]))
done = Supervisor(crew, work, listener, on_ready=lambda: print(port, flush=True)).run()
sys.exit(0 if done else 1)
"""


@contextmanager
def supervisor(
    folder: Path, *, mode: str = "good", drain_s: float = 30
) -> Generator[subprocess.Popen[str]]:
    script = folder / "program.py"
    script.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(script), mode, str(drain_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def answer(port: int) -> int | None:
    """The process id of the worker that answers, None if nobody does."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return int(connection.recv(100) or 0) or None
    except OSError:
        return None


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # an orphan that ended may wait for init to notice
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_workers_serve_and_stop_on_sigterm(tmp_path: Path) -> None:
    with supervisor(tmp_path) as process:
        port = port_of(process)
        pid = answer(port)

        process.send_signal(signal.SIGTERM)

        assert process.wait(WAIT_S) == 0
        assert pid
        assert pid != process.pid
        assert answer(port) is None


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with supervisor(tmp_path) as process:
        port = port_of(process)
        first: set[int] = set()
        assert until(lambda: first.add(answer(port) or 0) or len(first - {0}) == 2)

        for pid in first - {0}:
            os.kill(pid, signal.SIGKILL)

        assert until(lambda: (answer(port) or 0) not in first | {0})
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
        assert process.stderr
        assert "worker_died" in process.stderr.read()


def test_workers_that_cannot_start_are_not_tried_again(tmp_path: Path) -> None:
    with supervisor(tmp_path, mode="broken") as process:
        assert process.wait(WAIT_S) == 1
        assert process.stderr
        assert "worker_did_not_start" in process.stderr.read()


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with supervisor(tmp_path, mode="stubborn") as process:
        port = port_of(process)
        log = process.stderr
        assert log
        process.send_signal(signal.SIGTERM)
        assert until(lambda: "stopping" in log.readline())

        process.send_signal(signal.SIGINT)

        assert process.wait(WAIT_S) == 1
        assert answer(port) is None


def test_the_drain_is_bounded(tmp_path: Path) -> None:
    half_a_second_with_the_margin = 0.5 - STOP_MARGIN_S

    with supervisor(tmp_path, mode="stubborn", drain_s=half_a_second_with_the_margin) as process:
        port_of(process)

        process.send_signal(signal.SIGTERM)

        assert process.wait(WAIT_S) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    with supervisor(tmp_path) as process:
        pid = answer(port_of(process))
        assert pid

        process.kill()

        assert until(lambda: not is_alive(pid))
