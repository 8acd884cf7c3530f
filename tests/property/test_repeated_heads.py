"""However requests of one connection are cut, and whatever heads they have: each is answered as sent."""

import json
import time
from collections.abc import Generator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.provider import ScriptedProvider
from fakes.raw_client import CHAT, RawClient
from fakes.running_gateway import MODEL, RunningGateway
from fakes.strict_gateway import auth, strict_gateway
from regulars.http.server import HOLD_S

AGENTS = ("one/1.0", "two/2.0")
CUT_PAUSE_S = 0.002


@pytest.fixture(scope="module")
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningGateway]:
    with strict_gateway(tmp_path_factory.mktemp("repeated"), provider) as running:
        yield running


def request(gateway: RunningGateway, user: str, text: str, agent: str) -> bytes:
    fields = {"model": MODEL, "user": user, "messages": [{"role": "user", "content": text}]}
    body = json.dumps(fields).encode() if text else b"{no json"
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: x\r\n{auth(gateway)}\r\nContent-Length: {len(body)}\r\n"
        f"User-Agent: {agent}\r\n\r\n"
    )
    return head.encode() + body


requests = st.lists(
    st.tuples(st.text("abc\N{SNOWMAN}", max_size=40), st.sampled_from(AGENTS)),
    min_size=2,
    max_size=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked=requests, cuts=st.lists(st.integers(1, 1500), max_size=3), together=st.booleans())
def test_cuts_and_heads_change_nothing(
    gateway: RunningGateway,
    provider: ScriptedProvider,
    asked: list[tuple[str, str]],
    cuts: list[int],
    together: bool,
) -> None:
    sent = [
        request(gateway, f"user-{number}", text, agent)
        for number, (text, agent) in enumerate(asked)
    ]
    wanted = [(f"user-{n}", text, agent) for n, (text, agent) in enumerate(asked) if text]

    with RawClient(gateway.port) as client:
        answers: list[Any] = []
        for piece in [b"".join(sent)] if together else sent:
            send_cut(client, piece, cuts)
            answers += [client.read_answer() for _ in (sent if together else [piece])]
    ids = [answer.headers["x-generation-id"] for answer in answers if answer.status == 200]
    found = [gateway.get(f"/api/v1/generation?id={one}").json["data"] for one in ids]
    upstream = provider.requests[len(provider.requests) - len(wanted) :]

    assert [answer.status for answer in answers] == [200 if text else 400 for text, _ in asked]
    assert [
        (row["external_user"], got.json["messages"][0]["content"], row["user_agent"])
        for row, got in zip(found, upstream, strict=True)
    ] == wanted


@pytest.mark.parametrize("apart", [False, True])
def test_heads_that_return_are_read_once(gateway: RunningGateway, apart: bool) -> None:
    scopes: list[Any] = []
    agents = (*[AGENTS[0]] * 4, AGENTS[1])

    with RawClient(gateway.port) as client:
        for number, agent in enumerate(agents):
            sent = request(gateway, "user-1", "word " * number + "end", agent)
            send_cut(client, sent, [sent.index(b"\r\n\r\n") + 4] if apart else [])
            answer = client.read_answer()
            assert answer is not None
            assert answer.status == 200
            (connection,) = gateway.server.server_state.connections
            scopes.append(connection.cycle.scope)  # type: ignore[union-attr]

    assert [scope is scopes[0] for scope in scopes] == [True, True, True, True, False]


def test_the_body_of_a_known_head_has_its_time_and_no_more(gateway: RunningGateway) -> None:
    whole = request(gateway, "user-1", "hello", AGENTS[0])
    head, _, body = whole.partition(b"\r\n\r\n")

    with RawClient(gateway.port) as client:
        client.send(whole)
        statuses = [client.read_answer()]
        client.send(head + b"\r\n\r\n")
        time.sleep(2 * HOLD_S)
        client.send(body)
        statuses.append(client.read_answer())
        client.send(head + b"\r\n\r\n" + body[:5])
        statuses.append(client.read_answer())
        ended = client.read_rest()

    assert [answer.status for answer in statuses if answer is not None] == [200, 200, 408]
    assert ended == b""


def test_a_client_may_leave_between_a_known_head_and_its_body(gateway: RunningGateway) -> None:
    whole = request(gateway, "user-1", "hello", AGENTS[0])
    head, _, _ = whole.partition(b"\r\n\r\n")

    with RawClient(gateway.port) as client:
        client.send(whole)
        first = client.read_answer()
        client.send(head + b"\r\n\r\n")
    time.sleep(2 * HOLD_S)
    answer = gateway.chat(user="user-2")

    assert first is not None
    assert (first.status, answer.status) == (200, 200)


def test_a_refused_head_is_refused_again(gateway: RunningGateway) -> None:
    coded = request(gateway, "user-1", "hello", "one/1.0\r\nContent-Encoding: gzip")
    statuses: list[int] = []

    with RawClient(gateway.port) as client:
        for _ in range(3):
            client.send(coded)
            answer = client.read_answer()
            assert answer is not None
            statuses.append(answer.status)

    assert statuses == [415, 415, 415]


def send_cut(client: RawClient, data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    for start, end in pairwise(places):
        client.send(data[start:end])
        time.sleep(CUT_PAUSE_S)
