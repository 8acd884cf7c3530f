"""Several requests on one connection, some of them bad: never out of step."""

from collections.abc import Generator
from contextlib import suppress

import pytest

from fakes.provider import Script, ScriptedProvider, error_script
from fakes.raw_client import CHAT, RawClient, chat_request, request_of
from fakes.running_gateway import RunningGateway
from fakes.strict_gateway import auth, check_in_step, strict_gateway
from regulars.http.server import PIPELINED_MAX


@pytest.fixture(scope="module")
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningGateway]:
    with strict_gateway(tmp_path_factory.mktemp("manners"), provider) as running:
        yield running


WRONG = {
    "bad-json": (request_of("POST", CHAT, "AUTH", body=b"{"), 400),
    "unknown-model": (
        request_of("POST", CHAT, "AUTH", body=b'{"model":"no","messages":[{}]}'),
        400,
    ),
    "no-key": (request_of("POST", CHAT, body=b"{}"), 401),
    "management-key": (request_of("POST", CHAT, "MANAGE", body=b"{}"), 403),
    "no-such-path": (request_of("POST", "/nowhere", "AUTH", body=b"{}"), 404),
    "put": (request_of("PUT", CHAT, "AUTH", body=b"{}"), 405),
    "body-too-large": (request_of("POST", CHAT, "AUTH", body=b"x" * 450_000), 413),
    "compressed": (request_of("POST", CHAT, "AUTH", "Content-Encoding: gzip", body=b"{}"), 415),
}


def filled(gateway: RunningGateway, request: bytes) -> bytes:
    manage = f"Authorization: Bearer {gateway.management_key}".encode()
    return request.replace(b"AUTH", auth(gateway).encode()).replace(b"MANAGE", manage)


NEEDS_BODY = {"bad-json", "unknown-model", "no-such-path"}
"""Answered only when the body is here, so there is no body after the answer."""


@pytest.mark.parametrize(
    ("name", "late_body"),
    [(name, False) for name in WRONG] + [(name, True) for name in WRONG if name not in NEEDS_BODY],
)
def test_after_an_error_the_connection_is_in_step_or_closed(
    gateway: RunningGateway, name: str, late_body: bool
) -> None:
    request, status = WRONG[name]
    head, mark, body = filled(gateway, request).partition(b"\r\n\r\n")

    with RawClient(gateway.port) as client:
        client.send(head + mark if late_body else head + mark + body)
        answer = client.read_answer()
        if late_body:
            client.send(body)
        check_in_step(gateway, client, f"after-{name}-{late_body}")

    assert answer is not None
    assert answer.status == status


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [400, 422])
def test_after_an_upstreams_error_the_connection_is_in_step(
    gateway: RunningGateway, provider: ScriptedProvider, status: int, stream: bool
) -> None:
    provider.enqueue(error_script(status, "no"))

    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, user="fails", stream=stream))
        answer = client.read_answer()
        check_in_step(gateway, client, f"after-{status}-{stream}")

    assert answer is not None
    assert answer.status == status


def test_after_a_stream_that_failed_the_connection_is_in_step(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    provider.enqueue(Script(error={"code": 400, "message": "no"}, error_after=2))

    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, user="fails", stream=True))
        answer = client.read_answer()
        check_in_step(gateway, client, "after-failed-stream")

    assert answer is not None
    assert answer.events[-1]["error"]["code"] == 400


def test_many_pipelined_requests_are_answered_in_order(gateway: RunningGateway) -> None:
    users = [f"pipelined-{number}" for number in range(60)]

    with RawClient(gateway.port) as client:
        client.send(
            b"".join(
                chat_request(gateway, user=user, stream=number % 3 == 0)
                for number, user in enumerate(users)
            )
        )
        answers = [client.read_answer() for _ in users]

    rows = {row.id: row.end_user for row in gateway.rows()}
    assert [rows[answer.headers["x-generation-id"]] for answer in answers if answer] == users


def test_large_bodies_that_are_pipelined_stay_apart(gateway: RunningGateway) -> None:
    users = [f"large-{number}" for number in range(4)]
    said = [{"role": "user", "content": "x" * 300_001}]
    requests = [chat_request(gateway, user=user, messages=said) for user in users]

    with RawClient(gateway.port) as client:
        client.send(b"".join(requests))
        answers = [client.read_answer() for _ in users]

    assert [answer.status for answer in answers if answer] == [200] * 4
    rows = {row.id: row.end_user for row in gateway.rows()}
    assert [rows[answer.headers["x-generation-id"]] for answer in answers if answer] == users


def test_a_flood_of_pipelined_requests_is_cut_off(gateway: RunningGateway) -> None:
    flood = request_of("GET", "/healthz") * (PIPELINED_MAX * 3)

    with RawClient(gateway.port) as client:
        with suppress(BrokenPipeError, ConnectionResetError):  # cut off in mid-sentence
            client.send(flood)
        got = client.read_rest()

    assert got.count(b"HTTP/1.1 200 OK") < PIPELINED_MAX * 3
    assert gateway.get("/healthz").status == 200


def test_garbage_behind_a_request_spoils_only_what_follows(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    provider.enqueue(Script(chunks=5, chunk_delay_s=0.05))

    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, user="garbage-follows", stream=True))
        first = client.socket.recv(100)
        client.send(b"\x00\x01 garbage\r\n\r\n")
        got = first + client.read_rest()

    assert got.startswith(b"HTTP/1.1 200 OK")
    assert got.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("waiting", [b"\r\n", b"GET /healthz HT", b"HALF"])
def test_what_waits_behind_a_long_answer_does_not_cut_it(
    gateway: RunningGateway, provider: ScriptedProvider, waiting: bytes
) -> None:
    if waiting == b"HALF":
        waiting = chat_request(gateway, user="half")[:-5]
    provider.enqueue(Script(chunks=6, chunk_delay_s=0.2))

    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, user="long", stream=True))
        client.socket.recv(1)
        client.send(waiting)
        got = b"H" + client.read_rest()

    body = got.partition(b"0\r\n\r\n")[0]
    assert b"data: [DONE]" in body
    assert body.count(b"HTTP/1.1") == 1
