"""Heads that are broken, too large or unusual: refused precisely, or served as they ask."""

import time
from collections.abc import Generator

import pytest

from fakes.provider import ScriptedProvider
from fakes.raw_client import CHAT, RawClient, chat_request, request_of
from fakes.running_gateway import RunningGateway
from fakes.strict_gateway import auth, check_in_step, strict_gateway


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


@pytest.mark.parametrize("path", [f"{CHAT}/", "/v1//chat/completions", f"/{CHAT}", f"{CHAT}?v=1"])
def test_a_path_joined_with_a_slash_too_many_is_served(gateway: RunningGateway, path: str) -> None:
    asked = chat_request(gateway, user="joiner").replace(CHAT.encode(), path.encode(), 1)

    with RawClient(gateway.port) as client:
        client.send(asked)
        first = client.read_answer()
        client.send(asked)
        again = client.read_answer()

    assert first is not None
    assert again is not None
    assert (first.status, again.status) == (200, 200)


@pytest.mark.parametrize("path", ["/v1/models/", "/api/v1//models"])
def test_the_models_are_listed_under_a_path_with_a_slash_too_many(
    gateway: RunningGateway, path: str
) -> None:
    answer = gateway.get(path)

    assert answer.status == 200
    assert answer.json["object"] == "list"


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


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: +5"],
        ["Content-Length: 0x5"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding : chunked"],
        ["Transfer-Encoding:\x0bchunked"],
    ],
)
def test_no_doubt_about_a_bodys_end_smuggles_a_second_request(
    gateway: RunningGateway, provider: ScriptedProvider, lines: list[str]
) -> None:
    asked_before = len(provider.requests)
    hidden = request_of("GET", "/healthz")

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), *lines) + b"hello" + hidden)
        got = client.read_rest()

    assert got.count(b"HTTP/1.1 ") == 1
    assert got.startswith(b"HTTP/1.1 4")
    assert len(provider.requests) == asked_before


OFFERS = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: h2c",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("cut", [None, "head", "body"])
@pytest.mark.parametrize("chunked", [False, True])
def test_who_offers_another_protocol_is_served_in_this_one(
    gateway: RunningGateway, offer: str, cut: str | None, chunked: bool
) -> None:
    whole = chat_request(gateway, user="upgrader")
    head, _, body = whole.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    if chunked:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    else:
        lines.append(b"Content-Length: %d" % len(body))
    asked = b"\r\n".join((*lines, offer.encode(), b"", body))
    at = {None: len(asked), "head": len(asked) - len(body), "body": len(asked) - 5}[cut]

    with RawClient(gateway.port) as client:
        for _ in range(2):
            client.send(asked[:at])
            time.sleep(0.02)
            client.send(asked[at:])
            answer = client.read_answer()
            assert answer is not None
            assert answer.status == 200
        check_in_step(gateway, client, "upgrader")


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_without_a_body_is_passed_over(gateway: RunningGateway, offer: str) -> None:
    with RawClient(gateway.port) as client:
        client.send(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{offer}\r\n\r\n".encode())
        empty = client.read_answer(to="GET")
        client.send(request_of("POST", CHAT, auth(gateway), offer, body=b""))
        refused = client.read_answer()
        check_in_step(gateway, client, "after-an-offer")

    assert empty is not None
    assert refused is not None
    assert (empty.status, refused.status) == (200, 400)
