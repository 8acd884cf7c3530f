"""One llama.cpp server as a process of its own: `python -m regulars.demo.server`.

It writes its address as a line to standard output once it listens (`--port 0` picks a port),
and lives as long as its standard input is open, so it never outlives who started it.
"""

import argparse
import signal
import sys
from importlib import import_module
from typing import Any, Final

ANSWER_TOKENS: Final = 64
"""An answer's length where the request sets none: random weights rarely come to an end, and the
context is long enough for half a minute of nonsense."""


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(description="Serve one GGUF model on loopback.")
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--alias", required=True)
    arguments = parser.parse_args()

    # an extra; its names come from a compiled module that type checkers cannot see
    xllamacpp: Any = import_module("xllamacpp")

    # Ctrl-C reaches the whole group: the parent decides when this one ends
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = arguments.model
    parameters.model_alias = {arguments.alias}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = arguments.port
    parameters.n_ctx = 32_768
    parameters.n_parallel = 4
    parameters.n_predict = ANSWER_TOKENS
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.endpoint_metrics = True
    parameters.endpoint_slots = True
    parameters.ui = False
    parameters.warmup = False
    parameters.verbosity = -1
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)  # noqa: T201 - the parent reads it
    sys.stdin.buffer.read()
    del server


if __name__ == "__main__":
    main()
