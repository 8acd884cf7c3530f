"""`python -m bench`: measure, print a table, write it if asked.

Ends with 0 unless something broke; a missed bar is printed, not an error.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType

from bench.children import SEARCH_PATH, Children, free_port
from bench.errors import BenchError
from bench.fuzz import run_fuzz
from bench.gateway import Installation, install, start_gateway
from bench.large import run_large
from bench.machine import describe, pick_cores, raise_open_files
from bench.nginx import start_nginx
from bench.open_streams import run_open_streams
from bench.options import Options, parse
from bench.recorded import run_recorded
from bench.report import print_table, write_results
from bench.reports import run_reports
from bench.routed import run_routed
from bench.soak import MINUTES, QUICK_MINUTES, run_soak
from bench.stage import Stage
from bench.startup import run_startup
from bench.streamed import run_streamed
from bench.streams import start_origin
from bench.whole import run_whole

NEEDED = {"nginx": "nginx", "wrk": "wrk", "taskset": "util-linux"}


def main() -> int:
    """Run; the process's exit code."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        options = parse()
        _require_tools()
        faults = _run(options)
    except BenchError as error:
        faults = [str(error)]
    for fault in faults:
        print(f"bench: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _run(options: Options) -> list[str]:
    cores = pick_cores()
    raise_open_files()
    machine = describe(cores)
    print("\n".join(machine))
    temporary = tempfile.TemporaryDirectory(prefix="regulars-bench-")
    with temporary as folder, Children(Path(folder)) as children:
        stage = Stage(options, children, cores, origin_port=free_port())
        try:
            _measure(stage)
        except (BenchError, subprocess.TimeoutExpired) as error:
            # What was measured until then is still worth showing.
            stage.faults.append(str(error))
    print()
    print_table(stage.rows)
    if options.write and not stage.faults:
        print(f"written: {write_results(stage.rows, machine=machine, settings=str(options))}")
    return stage.faults


def _measure(stage: Stage) -> None:
    if "routing" in stage.options.sections:
        print("routing", flush=True)
        run_routed(stage)
    if "ledger" in stage.options.sections:
        print("ledger", flush=True)
        run_recorded(stage)
    if stage.options.sections in (("routing",), ("ledger",)):
        return
    children, measured = stage.children, stage.cores.measured
    start_origin(children, port=stage.origin_port, core=stage.cores.other)
    if "reports" in stage.options.sections:
        print("reports", flush=True)
        run_reports(stage)
    if stage.options.sections == ("reports",):
        return
    installation = install(
        children,
        name="gateway",
        source=stage.options.source,
        origin_port=stage.origin_port,
        core=measured,
    )
    if "start" in stage.options.sections:
        print("start", flush=True)
        run_startup(stage, installation)
    if stage.options.sections != ("start",):
        _measure_requests(stage, installation)


def _measure_requests(stage: Stage, installation: Installation) -> None:
    children, measured = stage.children, stage.cores.measured
    nginx = start_nginx(children, origin_port=stage.origin_port, core=measured)
    gateway = start_gateway(children, installation, core=measured).target
    if "whole" in stage.options.sections:
        print("whole answers", flush=True)
        run_whole(stage, gateway, nginx)
    if "streams" in stage.options.sections:
        print("streams", flush=True)
        run_streamed(stage, gateway, nginx)
    if "open" in stage.options.sections:
        print("open streams", flush=True)
        run_open_streams(stage, gateway, nginx)
    if "large" in stage.options.sections:
        print("large bodies", flush=True)
        run_large(stage, gateway, nginx)
    if "fuzz" in stage.options.sections:
        print("malformed requests", flush=True)
        run_fuzz(stage)
    if "soak" in stage.options.sections:
        print("mixed load with faults", flush=True)
        run_soak(stage, minutes=QUICK_MINUTES if stage.options.quick else MINUTES)


def _require_tools() -> None:
    missing = [
        package for tool, package in NEEDED.items() if not shutil.which(tool, path=SEARCH_PATH)
    ]
    if missing:
        raise BenchError(f"missing tools; install them: apt-get install {' '.join(missing)}")


def _leave(_signal: int, _frame: FrameType | None) -> None:
    # As an exception, so that every child is ended on the way out.
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
