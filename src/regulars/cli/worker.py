"""One process that serves: uvicorn with our application, our protocol and our way to stop."""

import logging
import math
import os
import signal
import socket
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

import uvicorn

from regulars.cli.heap import keep_freed_memory
from regulars.config.settings import Settings

IDLE_CLIENT_TIMEOUT_S: Final = 75
"""A client's idle connection is kept this long; longer than clients' own pools do."""

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger("regulars.worker")


class GatewayServer(uvicorn.Server):
    """Tells when it is ready; drains on the first signal and ends at once on the second."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_ready: Callable[[], None],
        stop_signals: Sequence[int] = STOP_SIGNALS,
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._stop_signals = stop_signals

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the doors, then tell."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Take a signal."""
        if sig not in self._stop_signals:
            return
        if self.should_exit:
            # At once is what was asked for: rows not yet durable are lost with their requests.
            os._exit(1)
        self.should_exit = True
        _log.info("stopping", extra={"signal": signal.Signals(sig).name})


def serve_here(
    settings: Settings,
    listener: socket.socket,
    *,
    on_ready: Callable[[], None],
    stop_signals: Sequence[int] = STOP_SIGNALS,
) -> bool:
    """Serve in this process until a stop signal; False if the application did not start."""
    from regulars.app import AppFactory, http_protocol

    keep_freed_memory()
    config = uvicorn.Config(
        AppFactory(settings),
        factory=True,
        http=http_protocol(settings),
        ws="none",
        loop="auto",  # uvloop wherever it is installed
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # app.py reads them, off the request path
        timeout_keep_alive=IDLE_CLIENT_TIMEOUT_S,
        timeout_graceful_shutdown=math.ceil(settings.server.drain_timeout_s),
    )
    server = GatewayServer(config, on_ready=on_ready, stop_signals=stop_signals)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        # uvicorn's answer to an application that cannot start; the reason is in the log
        return False
    return server.started
