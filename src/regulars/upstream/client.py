"""The client the gateway calls providers with: routes, requests, and the pools behind them."""

import asyncio
import ssl
from collections.abc import Mapping

from regulars.config.settings import UpstreamSettings
from regulars.model.addresses import is_forbidden
from regulars.model.catalog import Provider
from regulars.upstream.exchange import Terms
from regulars.upstream.origin import Origin, parse_base_url
from regulars.upstream.pool import Pool, PoolCounts
from regulars.upstream.request_head import request_head
from regulars.upstream.response import Response
from regulars.upstream.route import Route
from regulars.wire.pieces import Body


class Upstream:
    """HTTP/1.1 to all providers, one pool of connections per origin; lives in one event loop.

    `tls` is what https verifies against, by default the system's certificates. Redirects are
    not followed: the key would go where the provider points.
    """

    def __init__(self, limits: UpstreamSettings, tls: ssl.SSLContext | None = None) -> None:
        self._limits = limits
        self._tls = tls
        self._loop: asyncio.AbstractEventLoop | None = None
        # What one provider is allowed, another at the same origin is not.
        self._pools: dict[tuple[Origin, bool], Pool] = {}

    def route(self, provider: Provider, path: str) -> Route:
        """Work out how `path` below the provider's base URL is called; once, at start.

        Raises:
            ValueError: base URL, path, key or headers cannot be used.
        """
        origin, prefix = parse_base_url(provider.base_url)
        allowed = provider.allow_link_local
        if is_forbidden(origin.host) and not allowed:
            raise ValueError(
                f"base_url {provider.base_url!r} of provider {provider.slug!r} is link-local or a "
                "cloud's metadata service: set allow_link_local = true there if that is meant"
            )
        pool = self._pools.get((origin, allowed))
        if pool is None:
            pool = self._pools[origin, allowed] = Pool(
                origin, self._limits, tls=self._tls_context, allow_link_local=allowed
            )
        timeouts = provider.timeouts
        terms = Terms(
            peer=f"provider {provider.slug!r} ({origin})",
            head=request_head(provider, origin=origin, path=prefix + path),
            timeouts=timeouts,
            tick_s=min(
                timeouts.first_byte_s,
                timeouts.idle_s,
                timeouts.total_s,
                self._limits.idle_connection_s,
            ),
        )
        return Route(pool, terms)

    async def send(self, route: Route, body: Body) -> Response:
        """POST `body`, over an idle connection if there is one; the caller closes the answer.

        Raises:
            UpstreamBusyError: the origin already has as many connections as it may.
            UpstreamConnectError: no connection could be made.
        """
        loop = self._loop
        if loop is None:  # asked once: each time is a system call (getpid) in CPython 3.11
            loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        connection = route.pool.take(now)
        if connection is None:
            terms = route.terms
            connection = await route.pool.connect(terms.peer, terms.timeouts.connect_s)
            now = loop.time()
        return Response(route, connection, body, limits=self._limits, loop=loop, now=now)

    def connections(self) -> Mapping[str, PoolCounts]:
        """Open and idle connections by origin."""
        return {str(origin): pool.counts for (origin, _), pool in self._pools.items()}

    async def close(self) -> None:
        """End all connections, idle or not; exchanges under way fail. Later sends are refused."""
        for pool in self._pools.values():
            await pool.close()

    def _tls_context(self) -> ssl.SSLContext:
        # Loading the system's certificates takes some 20 ms: once, and only for https.
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
