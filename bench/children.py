"""Start child processes and end them, whatever happens. Only processes started here are ended."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.errors import BenchError

END_TIMEOUT_S = 10.0
LISTEN_TIMEOUT_S = 20.0
LOG_TAIL_CHARS = 2000
POLL_S = 0.005
SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
"""Where tools are looked for: people's own PATH often lacks nginx's folder."""


class Children:
    """Every process of one run, each leader of its own session; leaving the context ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        while self._running:
            self.end(self._running[-1])

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        core: int,
        environment: Mapping[str, str],
        pipes: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a pinned process; it logs to `<folder>/<name>.log`, and talks by pipes if asked.

        It sees only `environment` and a plain PATH, so that the caller's variables change nothing.
        """
        pinned = [*_prefix(core, environment), *command]
        with self.log(name).open("ab") as log:
            child = subprocess.Popen(
                pinned,
                stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        self._running.append(child)
        return child

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """Ask the child's group to end, force what is left after a bounded wait, and reap it."""
        self._running.remove(child)
        if child.returncode is None:
            _end_group(child)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):  # closing flushes what nobody will read
                    pipe.close()

    def log(self, name: str) -> Path:
        """Where the named child writes."""
        return self.folder / f"{name}.log"

    def wait_listening(self, name: str, child: subprocess.Popen[bytes], port: int) -> None:
        """Return once the port takes connections.

        Raises:
            BenchError: the child ended first, or the wait was too long.
        """
        deadline = time.monotonic() + LISTEN_TIMEOUT_S
        while time.monotonic() < deadline:
            if has_ended(child):
                raise BenchError(f"{name} ended before it listened: {self.tail(name)}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                return
            time.sleep(POLL_S)
        raise BenchError(f"{name} did not listen on port {port} in {LISTEN_TIMEOUT_S} s")

    def tail(self, name: str) -> str:
        """The end of the named child's log."""
        return self.log(name).read_text(errors="replace")[-LOG_TAIL_CHARS:].strip() or "no log"


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Tell whether the child ended, without reaping it: its id stays taken until `end`."""
    if child.returncode is not None:
        return True
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _prefix(core: int, environment: Mapping[str, str]) -> list[str]:
    # Each of these replaces itself by the next, so the process id stays the child's.
    prefix = ["taskset", "-c", str(core)]
    if shutil.which("setpriv"):
        # Should the harness itself be killed, the kernel ends its children.
        prefix = ["setpriv", "--pdeathsig", "TERM", *prefix]
    plain = {"PATH": SEARCH_PATH, "LANG": "C.UTF-8"}
    return [*prefix, "env", "-i", *(f"{k}={v}" for k, v in {**plain, **environment}.items())]


def _end_group(child: subprocess.Popen[bytes]) -> None:
    # Unreaped, the leader keeps the group's id from being given to a stranger.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_TIMEOUT_S
    while not has_ended(child) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
