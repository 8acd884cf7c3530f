"""Clients with odd, broken or bad manners on a raw socket: refused precisely, never out of step."""

import json
import socket
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from fakes.provider import Script, ScriptedProvider, error_script
from fakes.raw_client import CHAT, RawClient, chat_request, request_of
from fakes.running_gateway import HELLO, MODEL, RunningGateway, running_gateway
from fakes.served_process import config_text, served_process
from regulars.config.settings import ServerSettings
from regulars.http.server import PIPELINED_MAX
from regulars.model.generation import Outcome

BODY_LIMIT_BYTES = 400_000
SERVER = ServerSettings(
    drain_timeout_s=5.0,
    header_timeout_s=0.6,
    body_timeout_s=0.6,
    header_limit_bytes=8192,
    body_limit_bytes=BODY_LIMIT_BYTES,
)


@pytest.fixture(scope="module")
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningGateway]:
    folder = tmp_path_factory.mktemp("manners")
    with running_gateway(folder, [provider], server=SERVER) as running:
        yield running


def check_in_step(gateway: RunningGateway, client: RawClient, user: str) -> None:
    """Ask again on the same connection: the answer is this one's, or the connection is over."""
    try:
        client.send(chat_request(gateway, user=user))
    except (BrokenPipeError, ConnectionResetError):
        return
    answer = client.read_answer()
    if answer is not None:
        assert answer.status == 200, answer
        row = next(r for r in gateway.rows() if r.id == answer.headers["x-generation-id"])
        assert row.end_user == user
        assert answer.json["id"] == row.id


def auth(gateway: RunningGateway) -> str:
    return f"Authorization: Bearer {gateway.key}"


# --- bodies


@pytest.mark.parametrize(
    "value",
    [
        '"a\\r\\nX-Evil: 1"',
        '"a\\nb"',
        '"a\\u0000b"',
        '"a\\u2028b"',
        '"\\u0085"',
        '"a\\u001b[31mb"',
    ],
)
@pytest.mark.parametrize("field", ["user", "session_id", "model"])
def test_line_ends_in_a_name_never_reach_a_header(
    gateway: RunningGateway, provider: ScriptedProvider, field: str, value: str
) -> None:
    asked_before = len(provider.requests)
    fields = {"model": f'"{MODEL}"', "messages": json.dumps(HELLO), field: value}
    body = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body.encode()))
        answer = client.read_answer()
        check_in_step(gateway, client, "after-injection")

    assert answer is not None
    assert answer.status == 400
    assert field in answer.json["error"]["message"]
    assert "x-evil" not in answer.headers
    assert len(provider.requests) == asked_before + 1


def test_odd_labels_are_kept_printable_and_go_nowhere_else(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    title = "app \u0085\u202eevil \u00e9"

    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, f"X-Title: {title}", "User-Agent: x\ty", user="label"))
        answer = client.read_answer()

    assert answer is not None
    row = gateway.rows()[-1]
    assert (row.id, row.app) == (answer.headers["x-generation-id"], "app ��evil é")
    assert "evil" not in str(provider.requests[-1].headers)
    assert "evil" not in str(answer.headers)


NEST = b"[" * 5_000 + b"]" * 5_000
BAD_BODIES = {
    "invalid-utf-8": (b'{"model": "\xff\xfe", "messages": []}', "not UTF-8"),
    "utf-8-cut-short": (b'{"model": "\xe2\x82', "not UTF-8"),
    "utf-16": (json.dumps({"model": MODEL}).encode("utf-16"), "not UTF-8"),
    "encoded-surrogate": (b'{"user": "\xed\xa0\x80"}', "not UTF-8"),
    "arrays-without-end": (b'{"a":' + b"[" * 100_000, "nested too deeply"),
    "objects-without-end": (b'{"a":' * 50_000, "nested too deeply"),
    "deep-in-messages": (b'{"model":"m","messages":[{"content":' + NEST + b"}]}", "too deeply"),
    "number-as-name": (b'{"model":"m","messages":[{}],"user":1e400}', "user: is not a string"),
    "half": (b'{"model": "m', "not valid JSON"),
    "nan": (b'{"model": NaN}', "not valid JSON"),
    "two-values": (b"{}{}", "not valid JSON"),
}


@pytest.mark.parametrize(("body", "words"), BAD_BODIES.values(), ids=list(BAD_BODIES))
def test_a_bad_body_is_refused_in_words(gateway: RunningGateway, body: bytes, words: str) -> None:
    rows_before = len(gateway.rows())

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body))
        answer = client.read_answer()
        check_in_step(gateway, client, "after-bad-body")

    assert answer is not None
    assert answer.status == 400
    assert words in answer.json["error"]["message"]
    assert len(gateway.rows()) == rows_before + 1


@pytest.mark.parametrize(
    "field",
    [
        "messages",
        "metadata",
        "models",
        "plugins",
        "prompt_cache_key",
        "provider",
        "reasoning",
        "response_format",
        "stream_options",
        "tools",
        "user",
    ],
)
def test_no_depth_of_nesting_is_a_mistake_of_ours(
    gateway: RunningGateway, provider: ScriptedProvider, field: str
) -> None:
    usual = provider.default
    provider.default = Script(body=b'{"id": "x", "choices": []}')
    statuses: set[int] = set()

    try:
        with RawClient(gateway.port) as client:
            for depth in (100, 500, *range(900, 1030)):
                client.send(nested_request(gateway, field, "[" * depth + "]" * depth))
                answer = client.read_answer()
                assert answer is not None
                statuses.add(answer.status)
    finally:
        provider.default = usual

    # As a stream the answer above is none.
    assert statuses <= ({400, 502} if field == "stream_options" else {200, 400})
    assert 400 in statuses


def nested_request(gateway: RunningGateway, field: str, nest: str) -> bytes:
    fields = {"model": f'"{MODEL}"', "messages": json.dumps(HELLO), field: nest}
    if field == "messages":
        fields["messages"] = '[{"role":"user","content":' + nest + "}]"
    if field == "stream_options":
        fields["stream"] = "true"
    body = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"
    return request_of("POST", CHAT, auth(gateway), body=body.encode())


def test_numbers_go_upstream_as_they_were_written(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    numbers = b'"temperature":1e400,"seed":' + b"9" * 4000 + b',"top_p":0.1000000000000000055'
    body = b'{"model":"%b","messages":%b,%b}' % (
        MODEL.encode(),
        json.dumps(HELLO).encode(),
        numbers,
    )

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body))
        answer = client.read_answer()

    assert answer is not None
    assert answer.status == 200
    assert numbers in provider.requests[-1].body


def test_of_a_key_that_comes_twice_the_last_one_counts_everywhere(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    body = (
        '{"model":"no/such","user":"first","temperature":0.1,"messages":[],'
        f'"model":"{MODEL}","user":"last","temperature":0.9,"messages":{json.dumps(HELLO)}}}'
    )

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body.encode()))
        answer = client.read_answer()

    assert answer is not None
    assert answer.status == 200
    assert gateway.rows()[-1].end_user == "last"
    sent = provider.requests[-1].body
    assert [sent.count(name) for name in (b'"model"', b'"messages"', b'"temperature"')] == [1, 1, 1]
    assert provider.requests[-1].json["temperature"] == 0.9
    assert b"user" not in sent.replace(b'"role": "user"', b"")


# --- heads


def test_a_url_over_the_limit_is_refused(gateway: RunningGateway) -> None:
    with RawClient(gateway.port) as client:
        client.send(request_of("GET", "/healthz?" + "x" * 9000))
        answer = client.read_answer(to="GET")

        assert answer is not None
        assert answer.status == 431
        assert client.read_answer() is None


BAD_HEADS = [
    b"GET /healthz HTTP/1.1\nHost x\n\n",
    b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\rEvil: 1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n folded: 1\r\n\r\n",
    b"GET /health\xffz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /heal\x00thz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", BAD_HEADS)
def test_a_broken_request_is_one_refusal_and_the_end(
    gateway: RunningGateway, request_bytes: bytes
) -> None:
    with RawClient(gateway.port) as client:
        client.send(request_bytes)
        answer = client.read_answer(to="GET")

        assert answer is not None
        assert answer.status in {400, 404, 405}
        assert answer.json["error"]["code"] == answer.status
        assert client.read_answer() is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", CHAT, 405),
        ("OPTIONS", CHAT, 405),
        ("GET", CHAT, 405),
        ("DELETE", CHAT, 405),
        ("HEAD", "/healthz", 200),
        ("OPTIONS", "/healthz", 405),
        ("OPTIONS", "*", 404),
    ],
)
def test_other_methods_leave_the_connection_in_step(
    gateway: RunningGateway, method: str, path: str, status: int
) -> None:
    with RawClient(gateway.port) as client:
        client.send(request_of(method, path))
        answer = client.read_answer(to=method)
        check_in_step(gateway, client, f"after-{method}")

    assert answer is not None
    assert answer.status in {status, 400}
    assert ("allow" in answer.headers) == (answer.status == 405)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_http_1_0_clients_are_served_to_the_close(gateway: RunningGateway, stream: bool) -> None:
    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, user="old", stream=stream).replace(b"/1.1", b"/1.0", 1))
        answer = client.read_answer()

        assert answer is not None
        assert answer.status == 200
        assert "transfer-encoding" not in answer.headers
        assert answer.headers["connection"] == "close"
        assert (answer.data[-1] == "[DONE]") if stream else answer.json["choices"]
        assert client.read_answer() is None


# --- 100-continue


def test_a_body_that_waits_for_leave_is_asked_for(gateway: RunningGateway) -> None:
    whole = chat_request(gateway, "Expect: 100-continue", user="polite")
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


def test_a_body_without_leave_does_not_put_the_connection_out_of_step(
    gateway: RunningGateway,
) -> None:
    refused = request_of("POST", CHAT, "Expect: 100-continue", body=b"", length=5_000)

    with RawClient(gateway.port) as client:
        client.send(refused)
        answer = client.read_answer()
        check_in_step(gateway, client, "after-no-leave")

    assert answer is not None
    assert answer.status == 401


# --- one connection, several requests

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


# --- slow, half and endless


def test_a_body_that_trickles_is_cut_off(gateway: RunningGateway) -> None:
    request = chat_request(gateway, user="x" * 400)
    at = len(request) - 300
    began = time.monotonic()

    with RawClient(gateway.port, wait_s=0.05) as client:
        client.send(request[:at])
        answer = None
        while answer is None and at < len(request):
            client.send(request[at : at + 2])
            at += 2
            try:
                answer = client.read_answer()
            except TimeoutError:
                continue

    assert answer is not None
    assert answer.status == 408
    assert time.monotonic() - began < 5.0


def test_a_large_body_may_take_longer_at_a_decent_rate(gateway: RunningGateway) -> None:
    request = chat_request(gateway, user="patient", padding="x" * 300_000)

    with RawClient(gateway.port) as client:
        for at in range(0, len(request), 30_000):
            client.send(request[at : at + 30_000])
            time.sleep(0.1)
        answer = client.read_answer()

    assert answer is not None
    assert answer.status == 200


def test_a_connection_is_not_kept_for_ever_after_an_early_answer(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=SERVER) as gateway,
    ):
        gateway.server.config.timeout_keep_alive = 1
        with RawClient(gateway.port) as client:
            client.send(request_of("POST", CHAT, body=b"", length=10))
            answer = client.read_answer()
            client.send(b"0123456789")

            assert answer is not None
            assert answer.status == 401
            assert client.read_answer() is None


def test_a_body_that_never_comes_after_an_early_answer_gets_no_second_one(
    gateway: RunningGateway,
) -> None:
    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, body=b"12345", length=10))
        answer = client.read_answer()

        assert answer is not None
        assert answer.status == 401
        assert client.read_rest() == b""


@pytest.mark.parametrize(
    "more", [b"5000\r\n" + b"x" * 0x5000 + b"\r\n", b"1;" + b"x" * 30_000 + b"\r\nx\r\n"]
)
def test_a_body_without_end_is_cut_off(gateway: RunningGateway, more: bytes) -> None:
    sent = 0

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), "Transfer-Encoding: chunked"))
        try:
            while sent < 60_000_000:
                client.send(more)
                sent += len(more)
        except (BrokenPipeError, ConnectionResetError):
            pass

    assert sent < 60_000_000


def test_trailers_are_no_headers_and_have_an_end(gateway: RunningGateway) -> None:
    body = json.dumps({"model": MODEL, "messages": HELLO, "user": "trailing"}).encode()
    head = request_of("POST", CHAT, "Transfer-Encoding: chunked")
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(body), body)

    with RawClient(gateway.port) as client:
        client.send(head + chunks + f"{auth(gateway)}\r\n\r\n".encode())
        answer = client.read_answer()
    sent = 0
    with RawClient(gateway.port) as client:
        client.send(head.replace(b"Host: x", auth(gateway).encode()) + chunks)
        try:
            while sent < 60_000_000:
                client.send(b"X-More: " + b"x" * 50_000 + b"\r\n")
                sent += 50_000
        except (BrokenPipeError, ConnectionResetError):
            pass

    assert answer is not None
    assert answer.status == 401
    assert sent < 60_000_000


def test_a_client_that_shuts_its_half_is_one_cancelled_row(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    rows_before = len(gateway.rows())
    abandoned_before = len(provider.abandoned)
    provider.enqueue(Script(head_delay_s=30.0))

    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, user="half-closed"))
        client.socket.shutdown(socket.SHUT_WR)
        rest = client.read_rest()
        rows = gateway.wait_for_rows(rows_before + 1)
        provider.wait_until(lambda: len(provider.abandoned) > abandoned_before)

    assert rest == b""
    assert [row.outcome for row in rows[rows_before:]] == [Outcome.CANCELLED]


def test_a_slow_reader_of_a_large_stream_costs_little_memory(tmp_path: Path) -> None:
    flood = Script(text="x" * 30_000_000, chunks=400)
    with (
        ScriptedProvider() as provider,
        served_process(tmp_path, config_text(tmp_path, {"p0": provider.url})) as gateway,
    ):
        pid = (gateway.children or [gateway.process.pid])[0]
        gateway.chat(user="warm-up", stream=True)
        provider.default = flood
        before = resident_bytes(pid)
        body, headers = gateway.request_of(user="slow", stream=True)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        with RawClient(int(gateway.host.rpartition(":")[2])) as client:
            client.send(request_of("POST", CHAT, *lines, body=body.encode()))
            most, size = before, 0
            while piece := client.socket.recv(65_536):
                size += len(piece)
                # Slow for long enough that all of it would have come otherwise.
                time.sleep(0.02 if size < 5_000_000 else 0.0)
                most = max(most, resident_bytes(pid))
                if piece.endswith(b"0\r\n\r\n"):
                    break

    assert size > 30_000_000
    assert most - before < 12_000_000


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
