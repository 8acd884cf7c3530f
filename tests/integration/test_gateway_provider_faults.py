"""All that a provider can do wrong, on real sockets: what the client sees and the ledger keeps."""

import json
import socket
import ssl
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from fakes.faulty_gateway import FaultyGateway, Seen, faulty_gateway, one_model
from fakes.provider import Script, ScriptedProvider, error_script
from fakes.running_gateway import HELLO
from regulars.model.generation import Outcome, UsageSource

TEXT = "Hello from the scripted provider."
DENIED_HTML = b"<html><body><h1>secret-proxy-name</h1></body></html>"
CHUNK = {
    "id": "c",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "tiny",
    "choices": [{"index": 0, "delta": {"content": "more "}, "finish_reason": None}],
}
EMPTY_CHUNK = {
    **CHUNK,
    "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}],
}
GOOD_EVENT = b"data: " + json.dumps(CHUNK).encode() + b"\n\n"
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


@dataclass(frozen=True, slots=True)
class Fault:
    """A provider's misbehaviour and the error it must become.

    `frame`: a streaming client has had content by then, so the error comes as a frame.
    """

    script: Script
    status: int = 502
    code: str = "provider_unavailable"
    words: str = ""
    frame: bool = False
    upstream_status: int | None = None


FAULTS = {
    "reset-unanswered": Fault(Script(reset_after=0), words="closed the connection before"),
    "reset-in-head": Fault(Script(reset_after=30), words="closed the connection before"),
    "closed-unanswered": Fault(Script(close_after=0), words="closed the connection before"),
    "closed-in-head": Fault(Script(close_after=30), words="closed the connection before"),
    "ssh": Fault(Script(raw=b"SSH-2.0-OpenSSH_9.2\r\n"), words="not HTTP/1.1"),
    "tls": Fault(Script(raw=b"\x15\x03\x03\x00\x02\x02\x46"), words="not HTTP/1.1"),
    "http-0.9": Fault(Script(raw=b"<html>hi</html>"), words="not HTTP/1.1"),
    "nul-bytes": Fault(Script(raw=bytes(4096)), words="not HTTP/1.1"),
    "head-without-end": Fault(
        Script(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000), words="more than 16384 bytes"
    ),
    "switching": Fault(
        Script(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    ),
    "two-lengths": Fault(
        Script(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
    ),
    "coded-twice": Fault(
        Script(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
    ),
    "short-of-its-length": Fault(
        Script(raw=b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id":"x","choices":'),
        upstream_status=200,
    ),
    "broken-first-chunk": Fault(Script(raw=STREAM_HEAD + b"zz\r\nhello\r\n0\r\n\r\n")),
    "chunk-longer-than-said": Fault(Script(raw=STREAM_HEAD + b"2\r\nhello\r\n0\r\n\r\n")),
    "html-under-200": Fault(Script(body=DENIED_HTML), upstream_status=200),
    "half-json": Fault(Script(body=b'{"id": "x", "choices": [{"mess'), upstream_status=200),
    "json-null": Fault(Script(body=b"null"), upstream_status=200),
    "json-list": Fault(Script(body=b"[1, 2]"), upstream_status=200),
    "json-of-something-else": Fault(Script(body=b'{"hello": "world"}'), upstream_status=200),
    "json-bomb": Fault(Script(body=b'{"choices":' + b"[" * 90_000), upstream_status=200),
    "not-utf-8": Fault(Script(body=b'{"id": "\xff\xfe", "choices": 7}'), upstream_status=200),
    "nothing": Fault(Script(body=b""), upstream_status=200),
    "204": Fault(Script(status=204, body=b""), upstream_status=204),
    "429": Fault(
        error_script(429, "slow down"),
        status=429,
        code="rate_limit_exceeded",
        words="slow down",
        upstream_status=429,
    ),
    "401": Fault(error_script(401, "who are you"), words="answered 401", upstream_status=401),
    "500-html": Fault(Script(status=500, body=DENIED_HTML), upstream_status=500),
    "502-html": Fault(Script(status=502, body=DENIED_HTML), upstream_status=502),
    "503-html": Fault(
        Script(status=503, body=DENIED_HTML),
        status=503,
        code="provider_overloaded",
        upstream_status=503,
    ),
    "504-html": Fault(Script(status=504, body=DENIED_HTML), status=504, code="timeout", upstream_status=504),
    "status-999": Fault(Script(raw=b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n")),
    "gzip-that-is-none": Fault(
        Script(body=b"plain", headers={"Content-Encoding": "gzip"}), words="not valid gzip"
    ),
    "brotli": Fault(
        Script(body=b"x", headers={"Content-Encoding": "br"}), words="content-encoding b'br'"
    ),
    "gzip-bomb": Fault(
        Script(body=b"x" * 50_000_000, compress="gzip"), words="more than 200000 bytes"
    ),
    "endless-body": Fault(
        Script(body=b"x" * 10_000, endless=True), words="more than 200000 bytes"
    ),
    "body-over-the-limit": Fault(
        Script(body=b"x" * 300_000), words="more than 200000 bytes"
    ),
}  # fmt: skip
WHOLE_FAULTS = {
    "error-under-200": Fault(
        Script(body=b'{"error": {"message": "too many", "code": 429}}'),
        status=429,
        code="rate_limit_exceeded",
        words="too many",
    ),
}
LATE_FAULTS = {
    "stalled-before-head": Fault(
        Script(stall_after=0), status=504, code="timeout", words="within 0.3 s"
    ),
    "stalled-in-head": Fault(
        Script(stall_after=40), status=504, code="timeout", words="within 0.3 s"
    ),
    "stalled-after-head": Fault(
        Script(body_delay_s=60.0),
        status=504,
        code="timeout",
        words="within 0.3 s",
        upstream_status=200,
    ),
}
STREAM_FAULTS = {
    "broken-later-chunk": Fault(
        Script(raw=STREAM_HEAD + framed(GOOD_EVENT) + b"xyz\r\n"), words="not HTTP/1.1", frame=True
    ),
    "html-after-content": Fault(
        Script(raw=STREAM_HEAD + framed(GOOD_EVENT) + framed(b"data: <html>\n\n")), frame=True
    ),
    "reset-after-content": Fault(Script(reset_after=800), frame=True),
    "closed-after-content": Fault(Script(close_after=800), frame=True),
    "ends-unfinished": Fault(Script(events=[CHUNK], done=False), words="middle", frame=True),
    "done-unfinished-and-empty": Fault(Script(events=[EMPTY_CHUNK], done=False), words="middle"),
    "error-before-content": Fault(
        Script(error={"code": 503, "message": "lost the gpu"}, error_after=0),
        status=503,
        code="provider_overloaded",
        words="lost the gpu",
    ),
    "error-after-content": Fault(
        Script(error={"code": "server_error", "message": "lost the gpu"}, error_after=2),
        words="lost the gpu",
        frame=True,
    ),
    "error-that-is-text": Fault(
        Script(events=[CHUNK, {"error": "kaputt"}], done=False), words="kaputt", frame=True
    ),
    "endless-content": Fault(
        Script(events=[CHUNK], endless=True), words="more than 200000 bytes", frame=True
    ),
    "endless-comments": Fault(
        Script(raw=STREAM_HEAD + framed(b": still here\n\n") * 20_000),
        words="more than 200000 bytes",
    ),
    "endless-without-content": Fault(
        Script(events=[EMPTY_CHUNK], endless=True), words="more than 200000 bytes"
    ),
    "one-event-without-end": Fault(
        Script(raw=STREAM_HEAD + framed(b"data: " + b"x" * 300_000)), words="more than 200000 bytes"
    ),
}
STALLED = {
    "stalled-after-content": Fault(Script(stall_after=800), status=504, code="timeout", frame=True)
}

FINE = {
    "cut-at-every-byte": Script(cut_every=1, cut_pause_s=0.0),
    "cut-at-every-seventh": Script(cut_every=7, cut_pause_s=0.0),
    "crlf": Script(newline="\r\n"),
    "crlf-cut-at-every-byte": Script(newline="\r\n", cut_every=1, cut_pause_s=0.0),
    "comments": Script(comment="ping"),
    "comments-crlf": Script(comment="ping", newline="\r\n"),
    "three-events-a-write": Script(events_per_write=3),
    "all-events-in-one-write": Script(events_per_write=100),
    "no-done": Script(done=False),
    "usage-twice": Script(usage="twice"),
    "usage-at-the-finish": Script(usage="finish"),
    "usage-in-every-chunk": Script(usage="every"),
    "usage-unasked": Script(usage="last"),
    "read-to-the-close": Script(framing="close"),
    "http-1.0": Script(http="1.0", framing="close"),
    "gzip": Script(compress="gzip"),
    "deflate": Script(compress="deflate"),
    "interim-answers": Script(interim=b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 3),
    "one-chunk": Script(chunks=1),
    "closes-quietly": Script(close_quietly=True),
}
UNCOUNTED = {"usage-missing": Script(usage="missing")}
REDIRECTS = (301, 302, 303, 307, 308)
LIMITS = {"7": "7", "0.2": "1", "999999": "3600", "soon": None, "-5": "0", "": None}
"""What the provider says in Retry-After → what the client is told."""

NAMES = (*FAULTS, *WHOLE_FAULTS, *STREAM_FAULTS, *FINE, *UNCOUNTED, "reset_after", "close_after")
MODELS = [
    f"{name}-{form}"
    for name in (*NAMES, *REDIRECTS, *(f"limit{said}" for said in LIMITS))
    for form in ("whole", "stream")
]
SLOW_MODELS = [
    f"{name}-{form}"
    for name in (*LATE_FAULTS, *STALLED, "stall_after")
    for form in ("whole", "stream")
]


def model_of(name: object, *, stream: bool) -> str:
    """Name the model that only this case asks: a fault leaves its endpoint in bad standing."""
    return f"{name}-{'stream' if stream else 'whole'}"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Generator[FaultyGateway]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with (
        ScriptedProvider() as provider,
        faulty_gateway(
            tmp_path_factory.mktemp("faults"),
            provider,
            names=MODELS,
            impatient=SLOW_MODELS,
            models=[
                one_model("refused-whole", [nobody]),
                one_model("refused-stream", [nobody]),
                one_model("two-whole", [provider.url, provider.url]),
                one_model("two-stream", [provider.url, provider.url]),
            ],
        ) as running,
    ):
        yield running


def check_error(seen: Seen, fault: Fault) -> None:
    """Compare what was seen with the error the fault must become."""
    in_frame = fault.frame and seen.row.streamed
    error = seen.answer.events[-1]["error"] if in_frame else seen.answer.json["error"]
    assert seen.answer.status == (200 if in_frame else fault.status)
    assert error["code"] == fault.status
    assert error["metadata"]["error_type"] == fault.code
    assert fault.words in error["message"]
    assert "secret-proxy-name" not in error["message"]
    check_failed_row(seen, fault)
    if in_frame:
        assert seen.answer.text
        assert "[DONE]" not in seen.answer.data


def check_failed_row(seen: Seen, fault: Fault) -> None:
    row = seen.row
    in_frame = fault.frame and row.streamed
    assert seen.rows_added == 1
    assert (row.outcome, row.status, row.error) == (Outcome.FAILED, fault.status, fault.code)
    assert [attempt.error for attempt in row.attempts] == [fault.code]
    if fault.upstream_status is not None:
        assert row.attempts[0].status == fault.upstream_status
    assert (row.usage is not None) == in_frame
    assert (row.cost is not None) == in_frame
    assert row.usage_source is (UsageSource.ESTIMATED if in_frame else None)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", [*FAULTS, *LATE_FAULTS])
def test_a_fault_is_told_and_kept(faulty: FaultyGateway, name: str, stream: bool) -> None:
    fault = {**FAULTS, **LATE_FAULTS}[name]

    seen = faulty.meet(model_of(name, stream=stream), fault.script, stream=stream)

    check_error(seen, fault)


@pytest.mark.parametrize("name", WHOLE_FAULTS)
def test_a_fault_of_a_whole_answer_is_told_and_kept(faulty: FaultyGateway, name: str) -> None:
    fault = WHOLE_FAULTS[name]

    seen = faulty.meet(model_of(name, stream=False), fault.script, stream=False)

    check_error(seen, fault)


@pytest.mark.parametrize("name", [*STREAM_FAULTS, *STALLED])
def test_a_fault_of_a_stream_is_told_and_kept(faulty: FaultyGateway, name: str) -> None:
    fault = {**STREAM_FAULTS, **STALLED}[name]

    seen = faulty.meet(model_of(name, stream=True), fault.script, stream=True)

    check_error(seen, fault)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_refused_connection_is_told_and_kept(faulty: FaultyGateway, stream: bool) -> None:
    seen = faulty.meet(model_of("refused", stream=stream), Script(), stream=stream)

    check_error(seen, Fault(Script(), words="cannot be reached"))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FINE)
def test_an_odd_but_good_answer_is_passed_on_whole(
    faulty: FaultyGateway, name: str, stream: bool
) -> None:
    seen = faulty.meet(model_of(name, stream=stream), FINE[name], stream=stream)

    last = seen.answer.events[-1] if stream else seen.answer.json
    text = seen.answer.text if stream else last["choices"][0]["message"]["content"]
    assert seen.answer.status == 200
    assert text == TEXT
    assert seen.rows_added == 1
    assert seen.row.outcome is Outcome.COMPLETED
    assert seen.row.usage_source is UsageSource.REPORTED
    assert seen.row.usage is not None
    assert seen.row.usage.completion_tokens == len(TEXT) // 4
    assert last["usage"]["completion_tokens"] == len(TEXT) // 4
    assert [attempt.error for attempt in seen.row.attempts] == [None]
    if stream:
        assert seen.answer.data[-1] == "[DONE]"
        assert ["usage" in event for event in seen.answer.events].count(True) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_usage_nobody_counted_is_estimated(faulty: FaultyGateway, stream: bool) -> None:
    model = model_of("usage-missing", stream=stream)
    seen = faulty.meet(model, UNCOUNTED["usage-missing"], stream=stream)

    assert seen.answer.status == 200
    assert (seen.rows_added, seen.row.outcome) == (1, Outcome.COMPLETED)
    assert seen.row.usage_source is UsageSource.ESTIMATED


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("how", ["reset_after", "close_after", "stall_after"])
def test_an_answer_broken_off_at_any_byte_is_one_failed_row(
    faulty: FaultyGateway, how: str, stream: bool
) -> None:
    size = len(whole_response(faulty.provider, stream=stream))
    # A stall costs its timeout each time, so fewer of those.
    step = {True: 61, False: 29}[stream] * (12 if how == "stall_after" else 1)
    model = model_of(how, stream=stream)
    status = 504 if how == "stall_after" else 502
    odd: list[tuple[int, Seen]] = []
    last_needed = size - (250 if stream else 0)  # from the finish on a stream may be whole enough

    for at in (*range(0, last_needed, step), last_needed - 1):
        seen = faulty.meet(model, replace(Script(), **{how: at}), stream=stream)
        error = seen.answer.events[-1] if seen.answer.status == 200 else seen.answer.json
        told = error.get("error", {}).get("code")
        kept = (seen.rows_added, len(seen.row.attempts), seen.row.outcome, seen.row.status)
        if told != status or kept != (1, 1, Outcome.FAILED, status):
            odd.append((at, seen))

    assert odd == []


def whole_response(provider: ScriptedProvider, *, stream: bool) -> bytes:
    """Ask the provider itself, as the gateway does, for every byte it would send."""
    body = {"model": "tiny", "messages": HELLO, "stream": stream}
    asked = json.dumps({**body, "stream_options": {"include_usage": True}}).encode()
    with closing(socket.create_connection(("127.0.0.1", provider.port), timeout=5)) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(asked) + asked
        )
        got = b""
        while not got.endswith(b"0\r\n\r\n" if stream else b"}}}"):
            got += connection.recv(65_536)
    return got


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", REDIRECTS)
def test_a_redirect_is_not_followed_and_says_why(
    faulty: FaultyGateway, status: int, stream: bool
) -> None:
    asked_before = len(faulty.provider.requests)
    elsewhere = f"{faulty.provider.url}/elsewhere"
    script = Script(status=status, headers={"Location": elsewhere}, body=b"")

    seen = faulty.meet(model_of(status, stream=stream), script, stream=stream)

    check_error(seen, Fault(script, words=f"answered {status}", upstream_status=status))
    assert "redirects are not followed" in seen.answer.json["error"]["message"]
    assert len(faulty.provider.requests) == asked_before + 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("said", "passed_on"), LIMITS.items())
def test_a_limits_retry_after_is_passed_on_when_all_fail(
    faulty: FaultyGateway, said: str, passed_on: str | None, stream: bool
) -> None:
    headers = {"Retry-After": said} if said else {}
    script = error_script(429, "slow down", headers=headers)

    seen = faulty.meet(model_of(f"limit{said}", stream=stream), script, stream=stream)

    assert seen.answer.status == 429
    assert seen.answer.headers.get("retry-after") == passed_on


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_every_endpoint_that_failed_is_an_attempt_of_the_one_row(
    faulty: FaultyGateway, stream: bool
) -> None:
    model = model_of("two", stream=stream)
    seen = faulty.meet(model, Script(status=503, body=DENIED_HTML), stream=stream)

    assert seen.answer.status == 503
    assert seen.rows_added == 1
    assert [attempt.status for attempt in seen.row.attempts] == [503, 503]


EXPIRED = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC))
NOW = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("host", "validity", "words"),
    [
        ("localhost", NOW, None),
        ("localhost", EXPIRED, "expired"),
        ("other.example", NOW, "ostname mismatch"),
    ],
    ids=["good", "expired", "of-another-host"],
)
def test_certificates_are_verified(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    validity: tuple[datetime, datetime],
    words: str | None,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begin, end = validity
    authority.issue_cert(host, not_before=begin, not_after=end).configure_cert(tls)
    with (
        ScriptedProvider(tls=tls, host_name="localhost") as provider,
        faulty_gateway(tmp_path, provider, names=["tls"]) as faulty,
    ):
        for stream in (False, True):
            seen = faulty.meet("tls", Script(), stream=stream)

            if words is None:
                assert (seen.answer.status, seen.row.outcome) == (200, Outcome.COMPLETED)
            else:
                check_error(seen, Fault(Script(), words=words))
        assert len(provider.requests) == (2 if words is None else 0)
