import asyncio
import tracemalloc

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.upstream_call import BODY, STREAM, Run, calling, on_both_loops, read_all, until
from regulars.config.settings import UpstreamSettings
from regulars.model.errors import UpstreamClosedError, UpstreamTimeoutError
from regulars.upstream import PoolCounts, Response

pytestmark = on_both_loops


class ClientLeftError(Exception):
    pass


async def read_answer(response: Response) -> bytes:
    await response.head()
    return await read_all(response)


def test_nudge_wakes_a_pending_head_and_later_ones_still_get_it(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            asyncio.get_running_loop().call_later(0.02, response.nudge)
            assert await response.head() is False
            assert await response.head() is True
            assert response.status == 200
            response.close()

    with ScriptedProvider(default=Script(head_delay_s=0.2)) as provider:
        run(scenario(provider))


def test_nudge_wakes_a_pending_read_and_later_ones_still_get_all(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            asyncio.get_running_loop().call_later(0.02, response.nudge)
            assert await response.read() is None
            assert await read_all(response) == b"late"
            response.close()

    with ScriptedProvider(default=Script(body=b"late", body_delay_s=0.2)) as provider:
        run(scenario(provider))


def test_nudge_wakes_a_pending_read_of_a_compressed_body(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            asyncio.get_running_loop().call_later(0.02, response.nudge)
            assert await response.read() is None
            assert await read_all(response) == b"late"
            response.close()

    script = Script(body=b"late", body_delay_s=0.2, compress="gzip")
    with ScriptedProvider(default=script) as provider:
        run(scenario(provider))


def test_nudge_does_nothing_when_nobody_waits(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            response.nudge()
            assert await response.head() is True
            response.nudge()
            assert await read_all(response) == b"ok"
            response.close()
            response.nudge()

    with ScriptedProvider(default=Script(body=b"ok")) as provider:
        run(scenario(provider))


@pytest.mark.parametrize("script", [Script(head_delay_s=5), Script(body_delay_s=5)])
def test_cancel_reaches_whoever_waits_and_cuts_the_connection(run: Run, script: Script) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            asyncio.get_running_loop().call_later(0.05, response.cancel, ClientLeftError())
            with pytest.raises(ClientLeftError):
                await read_answer(response)
            response.close()
            await asyncio.to_thread(provider.wait_until, lambda: len(provider.abandoned) == 1)
            assert caller.counts == PoolCounts(open=0, idle=0)

    with ScriptedProvider(default=script) as provider:
        run(scenario(provider))


def test_cancel_reaches_the_next_read_though_the_answer_is_here(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            response.cancel(ClientLeftError())
            with pytest.raises(ClientLeftError):
                await response.read()
            response.close()
            response.cancel(ClientLeftError())
            assert caller.counts.idle == 0

    with ScriptedProvider() as provider:
        run(scenario(provider))


def test_cancel_reaches_the_next_head(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            response.cancel(ClientLeftError())
            with pytest.raises(ClientLeftError):
                await response.head()
            response.close()

    with ScriptedProvider() as provider:
        run(scenario(provider))


@pytest.mark.parametrize("script", [Script(head_delay_s=5), Script(body_delay_s=5)])
def test_a_task_cancelled_while_it_waits_leaks_no_connection(run: Run, script: Script) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await caller.ask()
            await asyncio.to_thread(provider.wait_until, lambda: len(provider.abandoned) == 1)
            assert caller.counts == PoolCounts(open=0, idle=0)

    with ScriptedProvider(default=script) as provider:
        run(scenario(provider))


def test_a_cancelled_wait_ends_the_exchange_even_unclosed(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await response.head()
            with pytest.raises(UpstreamClosedError, match="cancelled"):
                await response.head()

    with ScriptedProvider(default=Script(head_delay_s=5)) as provider:
        run(scenario(provider))


@pytest.mark.parametrize("steps", range(6))
def test_a_task_cancelled_while_it_connects_leaks_no_connection(run: Run, steps: int) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            task = asyncio.ensure_future(caller.ask())
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await until(lambda: caller.counts.open == 0)

    with ScriptedProvider(default=Script(head_delay_s=5)) as provider:
        run(scenario(provider))


def test_closing_from_another_task_wakes_the_reader(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            asyncio.get_running_loop().call_later(0.05, response.close)
            with pytest.raises(UpstreamClosedError, match="after close"):
                await response.head()

    with ScriptedProvider(default=Script(head_delay_s=5)) as provider:
        run(scenario(provider))


def test_a_slow_reader_holds_the_provider_back(run: Run) -> None:
    limits = UpstreamSettings(buffer_bytes=100_000)

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, limits=limits) as caller:
            response = await caller.send()
            await response.head()
            await asyncio.sleep(0.3)
            piece = await response.read()
            assert piece is not None
            # One read of the loop may go over the bound before it is seen.
            assert len(piece) < 100_000 + 2 * 262_144
            assert len(piece) + len(await read_all(response)) == 50_000_000
            response.close()
            assert caller.counts.idle == 1

    with ScriptedProvider(default=Script(body=bytes(50_000_000))) as provider:
        run(scenario(provider))


def test_silence_while_the_provider_is_held_back_is_not_its_fault(run: Run) -> None:
    limits = UpstreamSettings(buffer_bytes=10_000)

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, limits=limits, idle_s=0.15) as caller:
            response = await caller.send()
            await response.head()
            await asyncio.sleep(0.4)
            assert len(await read_all(response)) == 20_000_000
            response.close()

    with ScriptedProvider(default=Script(body=bytes(20_000_000))) as provider:
        run(scenario(provider))


def test_holding_back_does_not_stop_the_clock_for_the_whole_answer(run: Run) -> None:
    limits = UpstreamSettings(buffer_bytes=10_000)

    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider, limits=limits, total_s=0.2) as caller:
            response = await caller.send()
            await response.head()
            await asyncio.sleep(0.4)
            with pytest.raises(UpstreamTimeoutError, match="no complete answer"):
                await read_all(response)
            response.close()

    with ScriptedProvider(default=Script(body=bytes(20_000_000))) as provider:
        run(scenario(provider))


def test_a_large_request_waits_for_a_slow_provider_without_a_copy(run: Run) -> None:
    body = bytes(30_000_000)

    async def scenario(provider: ScriptedProvider) -> int:
        async with calling(provider, first_byte_s=0.3) as caller:
            tracemalloc.start()
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            response = await caller.send(body)
            await asyncio.sleep(0.1)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            with pytest.raises(UpstreamTimeoutError):
                await response.head()
            response.close()
        return peak - before

    with ScriptedProvider() as provider:
        # Never reads the body.
        provider.enqueue(Script(answer_early=True, stall_after=0))
        more = run(scenario(provider))

    assert more < 5_000_000


def test_a_connection_lost_while_writing_is_a_closed_error(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send(bytes(30_000_000))
            with pytest.raises(UpstreamClosedError):
                await response.head()
            response.close()
            assert caller.counts == PoolCounts(open=0, idle=0)

    with ScriptedProvider() as provider:
        provider.enqueue(Script(answer_early=True, reset_after=0))
        run(scenario(provider))


def test_one_piece_is_handed_over_as_it_came(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send(BODY)
            await response.head()
            connection = response._connection  # pyright: ignore[reportPrivateUsage] - no other way to see what is buffered
            assert connection is not None
            await until(lambda: bool(connection.pieces))
            only = connection.pieces[0]
            assert await response.read() is only
            response.close()

    with ScriptedProvider(default=Script(body=b"x" * 100)) as provider:
        run(scenario(provider))


def test_an_answer_that_is_here_is_taken_whole_and_once(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            for _ in range(2):
                response = await caller.send()
                assert response.whole() == b""  # nothing is here yet
                await response.head()
                taken: list[bytes] = []
                await until(lambda one=response, to=taken: bool(to.append(one.whole()) or to[-1]))
                assert taken[-1] == BODY * 3
                assert response.whole() == b""
                assert await response.read() == b""
                response.close()
            assert caller.counts == PoolCounts(open=1, idle=1)

    with ScriptedProvider(default=Script(body=BODY * 3)) as provider:
        run(scenario(provider))


def test_a_compressed_answer_is_not_taken_as_it_came(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send()
            await response.head()
            await asyncio.sleep(0.05)
            assert response.whole() == b""
            assert await read_all(response) == BODY
            response.close()

    with ScriptedProvider(default=Script(body=BODY, compress="gzip")) as provider:
        run(scenario(provider))


def test_a_response_closed_after_its_loop_ended_does_not_raise(run: Run) -> None:
    async def scenario(provider: ScriptedProvider) -> None:
        async with calling(provider) as caller:
            response = await caller.send(STREAM)
            left.append(response)

    left: list[object] = []
    with ScriptedProvider(default=Script(head_delay_s=5)) as provider:
        run(scenario(provider))

    left[0].close()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - a Response
