"""The connections to one origin: how many, which are idle, and how a new one is made."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from regulars.config.settings import UpstreamSettings
from regulars.model.errors import UpstreamBusyError, UpstreamConnectError
from regulars.upstream.addresses import ForbiddenAddressError, open_socket
from regulars.upstream.connection import Connection
from regulars.upstream.origin import Origin

CLOSE_WAIT_S: Final = 1.0
"""How long `close` waits for the loop to let go of aborted connections."""


@dataclass(frozen=True, slots=True)
class PoolCounts:
    """How many connections are open to an origin (those being made included), how many idle."""

    open: int
    idle: int


class Pool:
    """Keep-alive connections to one origin; the one used last is taken first.

    The freshest connection is the least likely to have been closed by the other side, and the
    others grow old and expire when traffic falls.
    """

    __slots__ = (
        "_all",
        "_allow_link_local",
        "_empty",
        "_idle",
        "_limits",
        "_making",
        "_tls",
        "closed",
        "origin",
    )

    def __init__(
        self,
        origin: Origin,
        limits: UpstreamSettings,
        *,
        tls: Callable[[], ssl.SSLContext],
        allow_link_local: bool = False,
    ) -> None:
        self.origin = origin
        self.closed = False
        self._allow_link_local = allow_link_local
        self._limits = limits
        self._tls = tls
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()
        self._making = 0
        self._empty: asyncio.Future[None] | None = None

    @property
    def counts(self) -> PoolCounts:
        """How many connections there are now."""
        return PoolCounts(open=len(self._all) + self._making, idle=len(self._idle))

    def take(self, now: float) -> Connection | None:
        """Return an idle connection that may be used, None when there is none."""
        while self._idle:
            connection = self._idle.pop()
            # The timer that ends idle connections may be late; the transport may be closing.
            fresh = now - connection.idle_since < self._limits.idle_connection_s
            if fresh and connection.usable:
                connection.reused = True
                return connection
            connection.abort()
        return None

    async def connect(self, peer: str, timeout_s: float) -> Connection:
        """Make a connection; `peer` names the provider in errors.

        Raises:
            UpstreamBusyError: there are as many as there may be.
            UpstreamConnectError: refused, unreachable, unknown, too slow or not verified.
        """
        if self.closed:
            raise UpstreamConnectError(f"{peer} was not called: the gateway is stopping")
        if len(self._all) + self._making >= self._limits.connections_max:
            raise UpstreamBusyError(
                f"{peer} already has {self._limits.connections_max} connections "
                "(upstream.connections_max)"
            )
        self._making += 1
        connection = Connection(self, self._limits)
        try:
            async with asyncio.timeout(timeout_s):
                await self._open(connection)
        except (OSError, ValueError) as exc:
            # ValueError: a host no name service can be asked for.
            connection.abort()
            raise UpstreamConnectError(_explain(peer, exc, timeout_s)) from exc
        except BaseException:
            connection.abort()
            raise
        finally:
            self._making -= 1
        # Only now: uvloop drops a transport whose making was cancelled without a word to us.
        self._all.add(connection)
        if self.closed:
            connection.abort()
            raise UpstreamConnectError(f"{peer} was not called: the gateway is stopping")
        return connection

    def keep(self, connection: Connection) -> None:
        """Put a connection by for the next request, or end it when enough are waiting."""
        if self.closed or len(self._idle) >= self._limits.idle_connections_max:
            connection.abort()
        else:
            self._idle.append(connection)

    def forget(self, connection: Connection) -> None:
        """Stop counting a connection that is gone."""
        self._all.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._empty is not None and not self._empty.done() and not self._all:
            self._empty.set_result(None)

    async def close(self) -> None:
        """Abort every connection and wait until the loop has let go of them."""
        self.closed = True
        self._idle.clear()
        for connection in tuple(self._all):
            connection.stop()
        if self._all:
            # An aborted transport reports its loss in the loop's next rounds.
            self._empty = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._empty], timeout=CLOSE_WAIT_S)

    async def _open(self, connection: Connection) -> None:
        origin = self.origin
        tls = self._tls() if origin.scheme == "https" else None
        opened = await open_socket(
            origin.host, origin.port, allow_link_local=self._allow_link_local
        )
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=opened,
                ssl=tls,
                server_hostname=origin.host if tls else None,
            )
        except BaseException:
            opened.close()
            raise


def _explain(peer: str, exc: OSError | ValueError, timeout_s: float) -> str:
    match exc:
        case ForbiddenAddressError():
            return (
                f"{peer} was not called: its address {exc.address} is link-local or a cloud's "
                "metadata service; set allow_link_local = true at the provider if that is meant"
            )
        case TimeoutError():
            return f"{peer} did not accept a connection within {timeout_s:g} s"
        case ssl.SSLCertVerificationError():
            return f"{peer} showed a certificate that is not accepted: {exc.verify_message}"
        case ssl.SSLError():
            return f"{peer} failed the TLS handshake: {exc.reason or exc}"
        case OSError():
            return f"{peer} cannot be reached: {exc.strerror or exc}"
        case ValueError():
            return f"{peer} cannot be reached: {exc}"
