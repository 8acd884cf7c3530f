"""Work in threads beside requests: interpreter and core are handed to the event loop first."""

import logging
import os
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

SWITCH_S: Final = 0.0005
"""How long such a thread may keep the interpreter from requests; Python's own 5 ms made the p99
beside an export 3 times what it was."""

NICENESS: Final = 10
"""How far such a thread stands behind the event loop for the kernel, on Linux: on one core the p99
beside questions and exports is 1.7 and 1.8 times what it is alone; 2.2 and 2.1 with 5, 2.6 and 2.5
with 0."""

NICENESS_MAX: Final = 19
"""The kernel's last place."""

log = logging.getLogger("regulars.http")
_this = threading.local()

P = ParamSpec("P")
T = TypeVar("T")


class Turns:
    """Shortens all threads' turns while any such work is under way; event loop only."""

    def __init__(self) -> None:
        self._working = 0
        self._usual_s = sys.getswitchinterval()

    def begin(self) -> None:
        """Say that work begins."""
        self._working += 1
        sys.setswitchinterval(SWITCH_S)

    def end(self) -> None:
        """Say that it ended."""
        self._working -= 1
        if not self._working:
            sys.setswitchinterval(self._usual_s)

    @contextmanager
    def _short(self) -> Generator[None]:
        self.begin()
        try:
            yield
        finally:
            self.end()

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do a piece of work in a thread."""

        def give_way_and_work() -> T:
            give_way()
            return work(*args, **kwargs)

        with self._short():
            return await run_in_threadpool(give_way_and_work)


def give_way() -> None:
    """Put this thread behind the event loop, for good: to step forward again takes a privilege."""
    if sys.platform != "linux" or getattr(_this, "gives_way", False):
        return
    _this.gives_way = True
    try:
        this = threading.get_native_id()
        behind = os.getpriority(os.PRIO_PROCESS, this) + NICENESS
        os.setpriority(os.PRIO_PROCESS, this, min(behind, NICENESS_MAX))
    except OSError as exc:  # a sandbox may forbid it; it is only slower then
        log.debug("thread_priority_kept reason=%r", str(exc))
