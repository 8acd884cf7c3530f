"""However a large body is cut and whatever follows it: the same request, and the next one in step."""

import json
import socket
import time
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.provider import ScriptedProvider
from fakes.raw_client import CHAT, RawClient, chat_request, request_of
from fakes.running_gateway import MODEL, RunningGateway, running_gateway
from regulars.http.large_body import REST_BYTES_MIN, ROOM_BYTES

PAUSE_S = 0.003
"""Between two pieces: long enough that the gateway mostly reads them apart."""

SIZES = st.sampled_from(
    [REST_BYTES_MIN - 300, REST_BYTES_MIN, ROOM_BYTES, 255_900, 700_001, 3_000_000]
) | st.integers(60_000, 1_200_000)
CUTS = st.lists(st.integers(0, 1_300_000) | st.integers(0, 600), max_size=5)
TEXTS = st.sampled_from(["x", "今天", "\U0001f642 ", 'a "quoted_word"\n'])
FOLLOWERS = st.lists(st.sampled_from(["small", "large", "healthz"]), max_size=3)


@pytest.fixture(scope="module")
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningGateway]:
    with running_gateway(tmp_path_factory.mktemp("cuts"), [provider]) as running:
        yield running


def large_request(gateway: RunningGateway, text: str, size: int) -> tuple[bytes, bytes]:
    """Return a request, and the messages as they stand in it."""
    messages = json.dumps(
        [{"role": "user", "content": (text * (size // len(text)))[:size]}], ensure_ascii=False
    ).encode()
    body = b'{ "user":"large", "model":"%b","messages": %b ,"top_p":0.50}' % (
        MODEL.encode(),
        messages,
    )
    return request_of("POST", CHAT, f"Authorization: Bearer {gateway.key}", body=body), messages


def send_cut(client: RawClient, sent: bytes, cuts: list[int]) -> None:
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ends = sorted({cut for cut in cuts if 0 < cut < len(sent)})
    for start, end in zip([0, *ends], [*ends, len(sent)], strict=True):
        client.send(sent[start:end])
        time.sleep(PAUSE_S)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.tuples(TEXTS, SIZES), cuts=CUTS, followers=FOLLOWERS)
def test_where_a_large_body_is_cut_changes_nothing(
    gateway: RunningGateway,
    provider: ScriptedProvider,
    content: tuple[str, int],
    cuts: list[int],
    followers: list[str],
) -> None:
    request, messages = large_request(gateway, *content)
    next_ones = {
        "small": chat_request(gateway, user="small"),
        "large": request,
        "healthz": request_of("GET", "/healthz"),
    }
    asked_before = len(provider.requests)

    with RawClient(gateway.port) as client:
        send_cut(client, request + b"".join(next_ones[one] for one in followers), cuts)
        answers = [client.read_answer() for _ in (request, *followers)]
        # And one that comes when all is quiet.
        client.send(next_ones["small"])
        answers.append(client.read_answer())

    assert [answer.status for answer in answers if answer] == [200] * (len(followers) + 2)
    asked = provider.requests[asked_before:]
    assert asked[0].body == b'{"model":"tiny","messages":%b,"top_p":0.50}' % messages
    large = [one.body for one in asked if one.body == asked[0].body]
    assert len(large) == 1 + followers.count("large")
    assert len(asked) == 2 + len(followers) - followers.count("healthz")
