"""Large bodies from clients with bad manners: the bounds hold past the HTTP parser as before it."""

import time
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fakes.provider import ScriptedProvider
from fakes.raw_client import CHAT, RawClient, chat_request, request_of
from fakes.running_gateway import RunningGateway
from fakes.served_process import config_text, served_process
from fakes.strict_gateway import auth, check_in_step, strict_gateway

SAID = [{"role": "user", "content": "x" * 380_000}]


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


@pytest.mark.parametrize("sent", [500, 100_000, 300_000, -1])
def test_a_large_body_that_stops_halfway_is_cut_off(gateway: RunningGateway, sent: int) -> None:
    request = chat_request(gateway, user="stopped", messages=SAID)
    rows_before = len(gateway.rows())

    with RawClient(gateway.port) as client:
        client.send(request[:sent])
        answer = client.read_answer()
        rest = client.read_rest()

    assert answer is not None
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert rest == b""
    assert len(gateway.rows()) == rows_before


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(("key", "status"), [("good", 413), ("bad", 401)])
def test_who_reads_only_after_his_upload_gets_the_refusal(
    gateway: RunningGateway, key: str, status: int, chunked: bool
) -> None:
    line = auth(gateway) if key == "good" else "Authorization: Bearer sk-reg-bad"
    body = b" " * 40_000_000
    if chunked:
        head = request_of("POST", CHAT, line, "Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        head = request_of("POST", CHAT, line, length=len(body))

    with RawClient(gateway.port) as client:
        client.send(head)
        client.send(body)
        answer = client.read_answer()
        client.send(request_of("GET", "/healthz"))
        after = client.read_answer(to="GET")

    assert answer is not None
    assert after is not None
    assert (answer.status, after.status) == (status, 200)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    ("path", "size", "status"),
    [(CHAT, 390_000, 401), (CHAT, 40_000_000, 413), ("/v1/embeddings", 40_000_000, 404)],
)
def test_a_refusal_is_not_lost_where_the_connection_is_not_kept(
    gateway: RunningGateway, path: str, size: int, status: int, version: str
) -> None:
    key = auth(gateway) if status == 413 else "Authorization: Bearer sk-reg-bad"
    head = request_of("POST", path, key, "Connection: close", length=size)

    with RawClient(gateway.port) as client:
        client.send(head.replace(b"/1.1", f"/{version}".encode(), 1))
        client.send(b" " * (size // 2))
        time.sleep(0.2)
        client.send(b" " * (size - size // 2))
        answer = client.read_answer()

        assert answer is not None
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert client.read_rest() == b""


def test_a_refused_body_that_does_not_come_is_not_waited_for_long(gateway: RunningGateway) -> None:
    began = time.monotonic()

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, "Connection: close", body=b"1", length=9))
        answer = client.read_answer()
        told = time.monotonic() - began
        rest = client.read_rest()

    assert answer is not None
    assert (answer.status, rest) == (401, b"")
    assert told < 0.5
    assert time.monotonic() - began < 3.0


def test_who_leaves_within_a_large_body_leaves_no_row(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    request = chat_request(gateway, user="half", messages=SAID)
    rows_before, asked_before = len(gateway.rows()), len(provider.requests)

    for end in range(100, len(request), 30_000):
        with RawClient(gateway.port) as client:
            client.send(request[:end])
            client.reset()
    whole = gateway.chat(user="whole")

    assert whole.status == 200
    assert [row.end_user for row in gateway.rows()[rows_before:]] == ["whole"]
    assert len(provider.requests) == asked_before + 1


def test_a_large_body_that_waits_for_leave_is_asked_for(gateway: RunningGateway) -> None:
    whole = chat_request(gateway, "Expect: 100-continue", user="polite", messages=SAID)
    head, _, body = whole.partition(b"\r\n\r\n")

    with RawClient(gateway.port) as client:
        client.send(head + b"\r\n\r\n")
        leave = client.read_answer()
        client.send(body)
        answer = client.read_answer()
        check_in_step(gateway, client, "after-continue")

    assert leave is not None
    assert leave.status == 100
    assert answer is not None
    assert answer.status == 200


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1\r\nConnection: close"])
def test_a_connection_that_is_not_kept_ends_behind_a_large_body(
    gateway: RunningGateway, version: str
) -> None:
    request = chat_request(gateway, user="last", messages=SAID)

    with RawClient(gateway.port) as client:
        client.send(request.replace(b"HTTP/1.1", version.encode(), 1))
        answer = client.read_answer()

        assert answer is not None
        assert answer.status == 200
        assert client.read_answer() is None


def test_garbage_behind_a_large_body_spoils_only_what_follows(gateway: RunningGateway) -> None:
    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, user="spoilt", messages=SAID) + b"\x00 garbage\r\n\r\n")
        got = client.read_rest()

    assert got.count(b"HTTP/1.1") <= 1
    assert gateway.chat(user="after-garbage").status == 200


def test_announcing_large_bodies_costs_little_memory(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        served_process(tmp_path, config_text(tmp_path, {"p0": provider.url})) as gateway,
        ExitStack() as clients,
    ):
        pid = (gateway.children or [gateway.process.pid])[0]
        gateway.chat(user="warm-up")
        _, headers = gateway.request_of(user="announces")
        lines = [f"{name}: {value}" for name, value in headers.items()]
        before = resident_bytes(pid)
        for _ in range(40):
            client = clients.enter_context(RawClient(int(gateway.host.rpartition(":")[2])))
            client.send(request_of("POST", CHAT, *lines, body=b'{"model"', length=19_000_000))
        time.sleep(1.0)
        more = resident_bytes(pid) - before

    assert more < 40 * 400_000


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_head_before_a_large_body_is_not_taken_for_the_next_ones(gateway: RunningGateway) -> None:
    said = [{"role": "user", "content": "x" * 200_000}]
    first = chat_request(gateway, "X-Title: first", user="heads", messages=said)
    head, _, body = first.partition(b"\r\n\r\n")
    # As long, head and all, as the body before it: what a head before just such a body would need.
    other = chat_request(gateway, "X-Title: other", user="heads", pad="y" * 150_000)
    missing = len(body) - len(other)
    other = chat_request(gateway, "X-Title: other", user="heads", pad="y" * (150_000 + missing))

    with RawClient(gateway.port) as client:
        for _ in range(6):  # the kernel widens what it takes unread
            client.send(chat_request(gateway, user="warm-up", messages=SAID))
            client.read_answer()
        client.send(head + b"\r\n\r\n")
        time.sleep(0.1)
        client.send(body)
        answers = [client.read_answer()]
        # While the loop sleeps all of it arrives, to be read in one piece.
        loop = next(iter(gateway.server.server_state.connections)).loop
        loop.call_soon_threadsafe(time.sleep, 0.3)
        time.sleep(0.1)
        for request in (other, chat_request(gateway, "X-Title: first", user="heads")):
            client.send(request)
            answers.append(client.read_answer())

    assert len(other) == len(body)
    rows = {row.id: row.app for row in gateway.rows()}
    apps = [rows[answer.headers["x-generation-id"]] for answer in answers if answer]
    assert apps == ["first", "other", "first"]
