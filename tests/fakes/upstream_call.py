"""Calls through the upstream client, as short as tests want them; on both event loops."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvloop

from fakes.provider import ScriptedProvider
from regulars.config.settings import UpstreamSettings
from regulars.model.catalog import Provider, Timeouts
from regulars.upstream import PoolCounts, Response, Route, Upstream
from regulars.wire.pieces import Body

Run = Callable[[Coroutine[Any, Any, Any]], Any]

on_both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])

BODY = b'{"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}'
STREAM = b'{"model": "tiny", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}'


class Caller:
    """One upstream client and one route to one provider."""

    def __init__(self, upstream: Upstream, route: Route) -> None:
        self.upstream = upstream
        self.route = route

    @property
    def counts(self) -> PoolCounts:
        """The connections to the provider."""
        return self.route.pool.counts

    async def send(self, body: Body = BODY) -> Response:
        """Send a request."""
        return await self.upstream.send(self.route, body)

    async def ask(self, body: Body = BODY) -> tuple[int, bytes]:
        """Send a request, read the whole answer and close it."""
        response = await self.send(body)
        try:
            await response.head()
            return response.status, await read_all(response)
        finally:
            response.close()


async def read_all(response: Response) -> bytes:
    """Read to the end of the body."""
    pieces: list[bytes] = []
    while piece := await response.read():
        pieces.append(piece)
    return b"".join(pieces)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until something holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is the client's inner state
            await asyncio.sleep(0.005)


@asynccontextmanager
async def calling(
    target: ScriptedProvider | str,
    *,
    limits: UpstreamSettings | None = None,
    tls: Any = None,
    **timeouts: float,
) -> AsyncGenerator[Caller]:
    """Open a client for one provider, close it in the end."""
    url = target if isinstance(target, str) else target.url
    provider = Provider(
        slug="alpha",
        name="Alpha",
        dialect="openai",
        base_url=url,
        key="secret-key",
        timeouts=replace(Timeouts(), **timeouts),
    )
    upstream = Upstream(limits or UpstreamSettings(), tls)
    try:
        yield Caller(upstream, upstream.route(provider, "/chat/completions"))
    finally:
        await upstream.close()
