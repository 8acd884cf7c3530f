import asyncio
from dataclasses import replace

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.upstream_call import BODY, STREAM, Caller, Run, calling, on_both_loops, read_all, until
from regulars.config.settings import UpstreamSettings
from regulars.model.errors import (
    UpstreamBusyError,
    UpstreamClosedError,
    UpstreamConnectError,
)
from regulars.upstream import PoolCounts

pytestmark = on_both_loops

LIMITS = UpstreamSettings()
EXTRA = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def until_counts(caller: Caller, counts: PoolCounts) -> None:
    await until(lambda: caller.counts == counts)


def test_connections_are_reused(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            for _ in range(5):
                await caller.ask()
            assert caller.counts == PoolCounts(open=1, idle=1)

    with ScriptedProvider() as provider:
        run(scenario(provider))

    assert [request.connection for request in provider.requests] == [1] * 5


def test_the_connection_used_last_is_taken_first(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            first, second = await caller.send(), await caller.send()
            for response in (first, second):
                await response.head()
                await read_all(response)
            second.close()
            first.close()
            await caller.ask()
            await caller.ask()

    with ScriptedProvider() as provider:
        run(scenario(provider))

    connections = [request.connection for request in provider.requests]
    assert connections[2:] == [1, 1]


def test_only_so_many_connections_stay_idle(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        limits = replace(LIMITS, idle_connections_max=2)
        async with calling(provider, limits=limits) as caller:
            await asyncio.gather(*(caller.ask() for _ in range(5)))
            await until_counts(caller, PoolCounts(open=2, idle=2))

    with ScriptedProvider(default=Script(head_delay_s=0.05)) as provider:
        run(scenario(provider))


def test_idle_connections_expire(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        limits = replace(LIMITS, idle_connection_s=0.1)
        async with calling(provider, limits=limits) as caller:
            await caller.ask()
            assert caller.counts == PoolCounts(open=1, idle=1)
            await until_counts(caller, PoolCounts(open=0, idle=0))
            await caller.ask()

    with ScriptedProvider() as provider:
        run(scenario(provider))

    assert provider.connections == 2


def test_an_expired_connection_is_not_taken_though_its_timer_is_late(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        limits = replace(LIMITS, idle_connection_s=0.0)
        async with calling(provider, limits=limits) as caller:
            await caller.ask()
            await caller.ask()

    with ScriptedProvider() as provider:
        run(scenario(provider))

    assert provider.connections == 2


def test_beyond_the_most_connections_a_request_fails_at_once(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        limits = replace(LIMITS, connections_max=2)
        async with calling(provider, limits=limits) as caller:
            first, second = await asyncio.gather(caller.send(), caller.send())
            with pytest.raises(UpstreamBusyError, match="already has 2 connections"):
                await caller.send()
            first.close()
            second.close()
            await until_counts(caller, PoolCounts(open=0, idle=0))
            await caller.ask()

    with ScriptedProvider(default=Script(head_delay_s=0.05)) as provider:
        run(scenario(provider))


def test_an_idle_connection_the_provider_closed_is_dropped(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            await asyncio.to_thread(provider.close_connections)
            await until_counts(caller, PoolCounts(open=0, idle=0))
            assert (await caller.ask())[0] == 200

    with ScriptedProvider() as provider:
        run(scenario(provider))


def test_a_connection_that_says_close_is_not_kept(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            assert caller.counts.idle == 0

    with ScriptedProvider(default=Script(keep_alive=False)) as provider:
        run(scenario(provider))


@pytest.mark.parametrize(
    "cut", [len(EXTRA) + 5, len(EXTRA)], ids=["with the answer", "after the answer"]
)
def test_a_connection_that_says_more_than_asked_is_not_used_again(run: Run, cut: int) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            assert await caller.ask() == (200, b"ok")
            await until_counts(caller, PoolCounts(open=0, idle=0))
            assert (await caller.ask())[0] == 200

    with ScriptedProvider() as provider:
        # Two answers to one request, then silence.
        raw = EXTRA + EXTRA
        provider.enqueue(Script(raw=raw, cuts=(cut,), cut_pause_s=0.05, stall_after=len(raw)))
        run(scenario(provider))

    assert provider.connections == 2


def test_an_answer_that_was_not_read_to_its_end_costs_the_connection(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send(STREAM)
            await response.head()
            response.close()
            await until_counts(caller, PoolCounts(open=0, idle=0))

    with ScriptedProvider(default=Script(chunk_delay_s=0.1)) as provider:
        run(scenario(provider))


def test_a_reused_connection_closed_before_any_answer_is_replaced_once(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            provider.enqueue(Script(reset_after=0))
            assert (await caller.ask())[0] == 200

    with ScriptedProvider() as provider:
        run(scenario(provider))

    assert [request.connection for request in provider.requests] == [1, 1, 2]
    assert [request.body for request in provider.requests] == [BODY] * 3


def test_the_replacement_is_not_replaced(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            provider.enqueue(*[Script(close_after=0)] * 3)
            with pytest.raises(UpstreamClosedError):
                await caller.ask()

    with ScriptedProvider() as provider:
        run(scenario(provider))

    assert len(provider.requests) == 3


@pytest.mark.parametrize(
    "script", [Script(close_after=3), Script(raw=b"HTTP/1.1 100 Continue\r\n\r\n")]
)
def test_a_reused_connection_that_answered_something_is_not_replaced(
    run: Run, script: Script
) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            provider.enqueue(script)
            with pytest.raises(UpstreamClosedError):
                await caller.ask()

    with ScriptedProvider() as provider:
        run(scenario(provider))

    assert len(provider.requests) == 2


def test_a_replacement_that_cannot_be_made_is_a_connect_error(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            provider.enqueue(Script(head_delay_s=0.05, reset_after=0))
            response = await caller.send()
            provider.stop_listening()
            with pytest.raises(UpstreamConnectError):
                await response.head()
            response.close()

    with ScriptedProvider() as provider:
        run(scenario(provider))


def test_a_cancelled_exchange_is_not_asked_again(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            response = await caller.send()
            await asyncio.to_thread(provider.close_connections)
            await until_counts(caller, PoolCounts(open=0, idle=0))
            response.cancel(LookupError("the client left"))
            with pytest.raises(LookupError):
                await response.head()
            response.close()

    with ScriptedProvider() as provider:
        provider.enqueue(Script(), Script(head_delay_s=5))
        run(scenario(provider))

    assert provider.connections == 1


@pytest.mark.parametrize("left", ["cancel", "close"])
def test_an_exchange_that_ends_while_its_connection_is_replaced_leaks_none(
    run: Run, left: str
) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            response = await caller.send()
            await asyncio.to_thread(provider.close_connections)
            await until_counts(caller, PoolCounts(open=0, idle=0))
            ends = {"cancel": lambda: response.cancel(LookupError()), "close": response.close}
            asyncio.get_running_loop().call_soon(ends[left])
            with pytest.raises((LookupError, UpstreamClosedError)):
                await response.head()
            await until_counts(caller, PoolCounts(open=0, idle=0))

    with ScriptedProvider() as provider:
        provider.enqueue(Script(), Script(head_delay_s=5))
        run(scenario(provider))

    assert {request.connection for request in provider.requests} == {1}


def test_closing_ends_idle_and_busy_connections(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            await caller.ask()
            first, second = await caller.send(), await caller.send()
            await first.head()
            await caller.upstream.close()
            assert caller.upstream.connections() == {
                f"http://127.0.0.1:{provider.port}": PoolCounts(open=0, idle=0)
            }
            with pytest.raises(UpstreamClosedError):
                await second.head()
            with pytest.raises(UpstreamConnectError, match="stopping"):
                await caller.send()
            first.close()
            second.close()

    with ScriptedProvider() as provider:
        provider.enqueue(Script(), Script(body_delay_s=5), Script(head_delay_s=5))
        run(scenario(provider))
