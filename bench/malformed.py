"""Requests as no client should send them: valid ones, mutated. The same number, the same bytes."""

import json
import random
from collections.abc import Callable
from typing import Final

from bench.target import CHAT_PATH

Mutation = Callable[[bytes, random.Random], bytes]

ODD_BYTES: Final = (
    b"\0",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\xff\xfe",
    b"%00",
    b"\t",
    b" ",
    b":",
    b"\x7f",
)
ODD_METHODS: Final = (b"HEAD", b"OPTIONS", b"CONNECT", b"TRACE", b"PATCH", b"BREW", b"", b"POST\0")
ODD_LENGTHS: Final = (
    b"0",
    b"1",
    b"-1",
    b"1e3",
    b"+5",
    b"0x10",
    b"999999999",
    b"9" * 40,
    b"",
    b"5, 5",
)
ODD_TARGETS: Final = (
    b"*",
    b"http://",
    b"//",
    b"/%zz",
    b"/../../etc/passwd",
    b"/api/v1/generation?id=%00",
    b"/api/v1/activity?date=9999-99-99&group_by=%ff",
    b"/api/v1/generations?limit=" + b"9" * 300 + b"&cursor=%0d%0a",
    b"/" + b"a" * 70_000,
    b"?" * 500,
    b"/users/%E2%80%AE",
    b"host:1",
)
ODD_HEADERS: Final = (
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Content-Length: 3",
    b"Content-Length: 3\r\nContent-Length: 4",
    b"Expect: 100-continue",
    b"Expect: 200-please",
    b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Connection: close",
    b"Content-Encoding: gzip",
    b"X-Title: \xe2\x80\xae\x85",
    b"X-Session-Id: " + b"s" * 5_000,
    b" folded: 1",
    b"No-Colon",
    b"Authorization: Bearer sk-reg-nobody",
    b"Authorization: Basic eDp5",
    b"X-Forwarded-For: 1.2.3.4, \xff",
    b"Host: other",
)
ODD_VALUES: Final = (
    b"null",
    b"-1",
    b"1e400",
    b"9" * 400,
    b'"\\ud800"',
    b'"a\\r\\nX: y"',
    b"[" * 2_000,
    b"{}",
    b"[[]]",
    b'{"a":{"b":[1,{"c":null}]}}',
    b"true",
    b'""',
    b'"' + b"u" * 3_000 + b'"',
)


def malformed(seed: int, number: int, key: str) -> bytes:
    """Make the bytes of one session: up to four requests in a row, at least one of them bad."""
    rng = random.Random(f"{seed}-{number}")
    requests = [_mutated(rng, key) for _ in range(rng.choice((1, 1, 1, 2, 3, 4)))]
    if rng.random() < 0.2:
        requests.insert(rng.randrange(len(requests) + 1), _valid(rng, key))
    return b"".join(requests)


def _mutated(rng: random.Random, key: str) -> bytes:
    if rng.random() < 0.03:
        return rng.randbytes(rng.randrange(1, 3_000))
    request = _valid(rng, key)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        request = rng.choice(MUTATIONS)(request, rng)
    return request


def _valid(rng: random.Random, key: str) -> bytes:
    auth = b"Authorization: Bearer " + key.encode()
    match rng.randrange(8):
        case 0:
            return b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        case 1:
            return b"GET /api/v1/generations?limit=3 HTTP/1.1\r\nHost: x\r\n" + auth + b"\r\n\r\n"
        case 2:
            return b"GET /users?period=7d HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\n\r\n"
        case 3:
            body = b"token=x&key=" + key.encode()
            head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded"
            return head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        case 4:
            body = _chat(rng)
            cut = rng.randrange(len(body))
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (body[:cut], body[cut:]) if p)
            head = b"POST %b HTTP/1.1\r\nHost: x\r\n%b\r\nTransfer-Encoding: chunked\r\n\r\n"
            return head % (CHAT_PATH.encode(), auth) + chunks + b"0\r\n\r\n"
        case _:
            return _post(auth, _chat(rng))


def _post(auth: bytes, body: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n%b\r\nContent-Type: application/json\r\n"
    return head % (CHAT_PATH.encode(), auth) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _chat(rng: random.Random) -> bytes:
    fields = {
        "model": "bench/echo",
        "user": f"fuzz-{rng.randrange(200)}",
        "session_id": "s",
        "stream": rng.random() < 0.3,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "x" * rng.randrange(600)},
        ],
        "provider": {"order": ["bench"], "sort": "price"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }
    return json.dumps(fields).encode()


def _flip(request: bytes, rng: random.Random) -> bytes:
    changed = bytearray(request)
    for _ in range(rng.randrange(1, 8)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(request: bytes, rng: random.Random) -> bytes:
    return request[: rng.randrange(1, len(request) + 1)]


def _drop(request: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(request))
    return request[:at] + request[at + rng.randrange(1, 40) :] or b"x"


def _insert(request: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(request) + 1)
    return request[:at] + rng.choice(ODD_BYTES) * rng.choice((1, 1, 2, 50)) + request[at:]


def _repeat(request: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(request))
    piece = request[at : at + rng.randrange(1, 60)]
    return request[:at] + piece * rng.choice((2, 3, 100)) + request[at:]


def _method(request: bytes, rng: random.Random) -> bytes:
    return rng.choice(ODD_METHODS) + b" " + request.partition(b" ")[2]


def _target(request: bytes, rng: random.Random) -> bytes:
    method, _, rest = request.partition(b" ")
    return method + b" " + rng.choice(ODD_TARGETS) + b" " + rest.partition(b" ")[2]


def _version(request: bytes, rng: random.Random) -> bytes:
    odd = (b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.1 ", b"http/1.1", b"HTTP/11", b"")
    return request.replace(b"HTTP/1.1", rng.choice(odd), 1)


def _header(request: bytes, rng: random.Random) -> bytes:
    odd = rng.choice(ODD_HEADERS) + b"\r\n"
    return request.replace(b"\r\n", b"\r\n" + odd * rng.choice((1, 1, 2)), 1)


def _many_headers(request: bytes, rng: random.Random) -> bytes:
    more = b"".join(b"X-%d: %b\r\n" % (n, b"v" * 50) for n in range(rng.choice((50, 500, 3_000))))
    return request.replace(b"\r\n", b"\r\n" + more, 1)


def _length(request: bytes, rng: random.Random) -> bytes:
    before, found, after = request.partition(b"Content-Length: ")
    return before + found + rng.choice(ODD_LENGTHS) + b"\r\n" + after.partition(b"\r\n")[2]


def _line_ends(request: bytes, rng: random.Random) -> bytes:
    return request.replace(b"\r\n", rng.choice((b"\n", b"\r", b"\n\r", b"\r\r\n")))


def _chunk_lie(request: bytes, rng: random.Random) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    size = rng.choice((b"0", b"5", b"ffffffff", b"-1", b"zz", b"f" * 30, b"1;" + b"e" * 2_000, b""))
    end = rng.choice((b"\r\n0\r\n\r\n", b"0\r\n\r\n", b"", b"\r\n0\r\nX: y\r\n\r\n"))
    return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + body[:200] + end


def _value(request: bytes, rng: random.Random) -> bytes:
    """Put an odd value at one key of the body, whose length stays true."""
    head, mark, body = request.partition(b"\r\n\r\n")
    name = rng.choice(
        (b"model", b"user", b"session_id", b"stream", b"messages", b"provider", b"tools")
    )
    at = body.find(b'"' + name + b'": ')
    if at < 0 or b"Content-Length: " not in head:
        return _flip(request, rng)
    at += len(name) + 4
    end = body.find(b', "', at)
    body = body[:at] + rng.choice(ODD_VALUES) + body[end if end > 0 else len(body) - 1 :]
    before = head.partition(b"Content-Length: ")[0]
    return before + b"Content-Length: %d" % len(body) + mark + body


MUTATIONS: Final[tuple[Mutation, ...]] = (
    _flip,
    _flip,
    _cut,
    _drop,
    _insert,
    _repeat,
    _method,
    _target,
    _version,
    _header,
    _header,
    _many_headers,
    _length,
    _line_ends,
    _chunk_lie,
    _value,
    _value,
)
