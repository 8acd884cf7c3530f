import json
from collections.abc import Iterator

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.provider import Script, ScriptedProvider
from fakes.upstream_call import STREAM, calling, read_all


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


def fetch(provider: ScriptedProvider, script: Script) -> tuple[int, bytes, int]:
    """Return status, body and how many connections were kept."""

    async def scenario() -> tuple[int, bytes, int]:
        async with calling(provider) as caller:
            response = await caller.send(STREAM)
            await response.head()
            body = await read_all(response)
            response.close()
            return response.status, body, caller.counts.idle

    provider.enqueue(script)
    return uvloop.run(scenario())


BODIES = st.lists(
    st.text(max_size=40).map(lambda text: json.dumps({"text": text})), min_size=1, max_size=6
)
CUTS = st.lists(st.integers(0, 700), max_size=12)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    events=BODIES,
    cuts=CUTS,
    framing=st.sampled_from(["length", "chunked", "close"]),
    compress=st.sampled_from([None, "gzip", "deflate", "raw-deflate"]),
)
def test_where_bytes_are_cut_changes_nothing(
    provider: ScriptedProvider, events: list[str], cuts: list[int], framing: str, compress: str
) -> None:
    newline = "\n\n"
    whole = "".join(f"data: {event}{newline}" for event in events).encode()

    script = Script(
        events=events,
        framing=framing,  # pyright: ignore[reportArgumentType] - sampled from the literals
        compress=compress,  # pyright: ignore[reportArgumentType] - sampled from the literals
        cuts=cuts,
        cut_pause_s=0.0005,
        interim=b"HTTP/1.1 100 Continue\r\n\r\n",
    )

    assert fetch(provider, script) == (200, whole, 0 if framing == "close" else 1)
