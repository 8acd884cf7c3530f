"""Work in threads beside requests: the interpreter is handed to the event loop in short turns."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final, ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

SWITCH_S: Final = 0.0005
"""How long such a thread may keep the interpreter from requests; Python's own 5 ms made the p99
beside an export 3 times what it was."""

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
        with self._short():
            return await run_in_threadpool(work, *args, **kwargs)
