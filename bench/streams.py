"""Load of streams: set the origin's pace, run the reader, take its result."""

import http.client
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.children import Children
from bench.errors import BenchError
from bench.reader import SLACK_S, Job, Result
from bench.target import Target

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Pace:
    """How many streams at once, of how many chunks, how far apart, begun for how long."""

    streams: int
    chunks: int
    interval_s: float
    seconds: float

    @property
    def length_s(self) -> float:
        """How long one stream takes."""
        return self.chunks * self.interval_s


def start_origin(children: Children, *, port: int, core: int) -> None:
    """Start the fake upstream of `origin.py` and wait until it listens."""
    command = [sys.executable, "-m", "bench.origin", str(port)]
    child = children.start("origin", command, core=core, environment={"PYTHONPATH": str(ROOT)})
    children.wait_listening("origin", child, port)


def set_pace(origin_port: int, pace: Pace) -> None:
    """Tell the origin how later streams run; only while none is under way."""
    with closing(http.client.HTTPConnection("127.0.0.1", origin_port, timeout=10)) as client:
        body = json.dumps({"interval_s": pace.interval_s, "chunks": pace.chunks})
        client.request("POST", "/pace", body)
        status = client.getresponse().status
    if status != http.HTTPStatus.OK:
        raise BenchError(f"the origin answered {status} to /pace")


def run_reader(
    children: Children,
    target: Target,
    pace: Pace,
    *,
    core: int,
    when_open: Callable[[], None] | None = None,
) -> Result:
    """Read streams through the target; `when_open` is called once all are open together.

    Raises:
        BenchError: a stream was refused, cut, short or without its end.
    """
    job = Job(target.port, target.key, pace.streams, pace.chunks, pace.interval_s, pace.seconds)
    command = [sys.executable, "-m", "bench.reader"]
    environment = {"PYTHONPATH": str(ROOT)}
    child = children.start("reader", command, core=core, environment=environment, pipes=True)
    try:
        result = _converse(child, job, pace, when_open)
    finally:
        children.end(child)
    if result is None:
        raise BenchError(f"the reader gave no result: {children.tail('reader')}")
    if result.complaints or not result.chunks:
        raise BenchError(f"streams through {target.name} broke: {result.complaints}")
    return result


def _converse(
    child: subprocess.Popen[bytes], job: Job, pace: Pace, when_open: Callable[[], None] | None
) -> Result | None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
    child.stdin.flush()
    # The reader bounds itself; this bound is for a reader that hangs.
    deadline = time.monotonic() + pace.seconds + 2 * (pace.length_s + SLACK_S)
    while select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
        line = child.stdout.readline()
        if not line:
            return None
        said = json.loads(line)
        if "open" not in said:
            return Result(**said)
        if when_open is not None:
            when_open()
    raise BenchError("the reader did not end in time")
