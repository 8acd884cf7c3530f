"""Our uvicorn server in a process of its own, with an application that never answers."""

import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

WAIT_S = 20.0

PROGRAM = """
import asyncio, sys, uvicorn
from regulars.cli.listen import listen
from regulars.cli.log import set_up_logging
from regulars.cli.worker import GatewayServer

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if sys.argv[1] == "fails":
            await send({"type": "lifespan.startup.failed", "message": "no store"})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("drained", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    print("asked", flush=True)
    await asyncio.sleep(1000)

set_up_logging()
listener = listen("127.0.0.1", 0)
config = uvicorn.Config(app, lifespan="on", log_config=None, timeout_graceful_shutdown=60)
port = listener.getsockname()[1]
GatewayServer(config, on_ready=lambda: print(port, flush=True)).run(sockets=[listener])
"""


@contextmanager
def server(folder: Path, mode: str = "good") -> Generator[subprocess.Popen[str]]:
    script = folder / "program.py"
    script.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(script), mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_drains_and_ends_with_0(tmp_path: Path, number: signal.Signals) -> None:
    with server(tmp_path) as process:
        assert process.stdout
        process.stdout.readline()

        process.send_signal(number)

        assert process.wait(WAIT_S) == 0
        assert process.stdout.readline() == "drained\n"


def test_a_second_signal_does_not_wait_for_open_requests(tmp_path: Path) -> None:
    with server(tmp_path) as process:
        assert process.stdout
        assert process.stderr
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert process.stdout.readline() == "asked\n"
            process.send_signal(signal.SIGTERM)
            assert "stopping signal=SIGTERM" in process.stderr.readline()

            process.send_signal(signal.SIGTERM)

            assert process.wait(WAIT_S) == 1


def test_an_application_that_does_not_start_is_never_ready(tmp_path: Path) -> None:
    with server(tmp_path, "fails") as process:
        assert process.stdout

        assert process.wait(WAIT_S) != 0
        assert process.stdout.read() == ""
