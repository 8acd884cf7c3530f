"""The repository as a new user has it: a copy without anything that was built, and `make run`."""

import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from regulars.config.known_providers import KNOWN_PROVIDERS

ROOT = Path(__file__).parents[2]
INSTALL_S = 300.0
"""For `make run` to install everything and to start."""
STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class FreshCopy:
    """A copy, and the environment a newcomer would have."""

    folder: Path
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class MakeRun:
    """`make run`, once the gateway has said that it is ready."""

    process: "subprocess.Popen[str]"
    banner: str

    @property
    def gateway(self) -> int:
        """The process id of the gateway that make started."""
        found = [pid for pid in descendants(self.process.pid) if b"regulars" in _command(pid)]
        assert found, "make has started no gateway"
        return found[0]


def fresh_copy(folder: Path) -> FreshCopy:
    """Copy what is in the repository, or would be at the next commit; give it an empty home."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    copy = folder / "copy"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return FreshCopy(copy, newcomers_environment(folder))


def newcomers_environment(folder: Path) -> dict[str, str]:
    """This environment without provider keys, without our own settings, with a home of its own."""
    taken = {known.key_env for known in KNOWN_PROVIDERS} | {"VIRTUAL_ENV", "PYTHONPATH"}
    given = os.environ  # noqa: TID251 - for the child
    env = {
        name: value
        for name, value in given.items()
        if name not in taken and not name.startswith(("REGULARS_", "MAKE", "COVERAGE", "COV_"))
    }
    home = folder / "home"
    home.mkdir()
    env |= {
        "HOME": str(home),
        "REGULARS_HOME": str(folder / "regulars home"),
        "REGULARS_SERVER__PORT": str(free_port()),
        "REGULARS_DISCOVER": "demo",  # whatever else runs on this machine
    }
    # Packages that were downloaded before need not be again.
    with suppress(KeyError):
        env.setdefault("UV_CACHE_DIR", f"{given['HOME']}/.cache/uv")
    return env


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def make_run(copy: FreshCopy) -> Generator[MakeRun]:
    """Run `make run` until the block ends; whatever is left then is killed."""
    with (copy.folder.parent / "log").open("w") as log:
        process = subprocess.Popen(
            ["make", "run"],
            cwd=copy.folder,
            env=copy.env,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    killer = threading.Timer(INSTALL_S, _kill_group, [process.pid])
    killer.start()
    try:
        yield MakeRun(process, _banner(process, Path(log.name)))
    finally:
        killer.cancel()
        _kill_group(process.pid)
        process.communicate()


def descendants(pid: int) -> list[int]:
    """All processes below one, parents first."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in map(int, children) for found in (child, *descendants(child))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _banner(process: "subprocess.Popen[str]", log: Path) -> str:
    assert process.stdout
    text = ""
    for line in process.stdout:
        text += line
        if line.strip().startswith("activity"):
            return text
    raise AssertionError(f"`make run` did not get ready: {text}{log.read_text()}")


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
