"""A real llama.cpp server that a test can kill and start again on the same port.

with LlamaServer(tmp_path) as server:
    server.kill()
    server.start()
"""

import http.client
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from regulars.demo.tiny_model import MODEL_ID, tiny_model

START_S = 30.0
POLL_S = 0.05


def free_port() -> int:
    """Find a port that nobody uses just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class LlamaServer:
    """One server process; `url` stays the same over its lives."""

    def __init__(self, home: Path) -> None:
        self._model = tiny_model(home)
        self._port = free_port()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base URL a gateway is given."""
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Start it and wait until it is well."""
        command = [sys.executable, "-m", "regulars.demo.server", "--port", str(self._port)]
        self._child = subprocess.Popen(
            [*command, "--model", str(self._model), "--alias", MODEL_ID],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while not self._is_well():
            assert time.monotonic() < deadline, "the llama.cpp server did not start"
            time.sleep(POLL_S)

    def kill(self) -> None:
        """End it as a crash would."""
        child, self._child = self._child, None
        assert child is not None, "it does not run"
        child.kill()
        child.communicate()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._child is not None:
            self.kill()

    def _is_well(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=1.0)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
