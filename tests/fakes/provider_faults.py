"""All that a provider can do wrong, as scripts, and the error each must become."""

import json
from dataclasses import dataclass

from fakes.faulty_gateway import Seen
from fakes.provider import Script, error_script
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


def model_of(name: object, *, stream: bool) -> str:
    """Name the model that only this case asks: a fault leaves its endpoint in bad standing."""
    return f"{name}-{'stream' if stream else 'whole'}"


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
