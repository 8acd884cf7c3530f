"""A client that says what it is told, byte by byte, and reads one answer at a time.

with RawClient(gateway.port) as client:
    client.send(chat_request(gateway, user="u"))
    assert client.read_answer().status == 200
"""

import json
import re
import socket
import struct
from types import TracebackType
from typing import Any, Self

from fakes.running_gateway import HELLO, MODEL, Answer, RunningGateway

WAIT_S = 10.0
CHAT = "/api/v1/chat/completions"


class RawClient:
    """One connection. What was read beyond an answer is kept for the next one."""

    def __init__(self, port: int, *, wait_s: float = WAIT_S) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=wait_s)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it, as far as the other side takes it."""
        self.socket.sendall(data)

    def reset(self) -> None:
        """Leave without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read_answer(self, *, to: str = "POST") -> Answer | None:
        """Read one answer to a request of this method; None when the connection is over."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) [\x20-\x7e]*", line)
        assert found, f"not a status line: {line!r}"
        names = {name.lower(): value for name, _, value in (f.partition(": ") for f in fields)}
        status = int(found[1])
        return Answer(status, names, self._body(status, names, to))

    def read_rest(self) -> bytes:
        """Read to the end of the connection; a reset is an end too."""
        got = self._rest
        self._rest = b""
        while piece := self._more():
            got += piece
        return got

    def _body(self, status: int, headers: dict[str, str], method: str) -> bytes:
        if method == "HEAD" or status in {100, 204, 304}:
            return b""
        if headers.get("transfer-encoding") == "chunked":
            return self._chunks()
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        return self.read_rest()

    def _chunks(self) -> bytes:
        body = b""
        while True:
            line = self._until(b"\r\n")
            assert line is not None, f"cut in a chunk's size after {len(body)} bytes"
            size = int(line, 16)
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n", "no line end after a chunk"
            if not size:
                return body

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._rest:
            piece = self._more()
            if not piece:
                assert not self._rest, f"cut after {self._rest[-80:]!r}"
                return None
            self._rest += piece
        found, _, self._rest = self._rest.partition(mark)
        return found + mark

    def _exactly(self, size: int) -> bytes:
        while len(self._rest) < size:
            piece = self._more()
            assert piece, f"cut {size - len(self._rest)} bytes before the end"
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _more(self) -> bytes:
        try:
            return self.socket.recv(65_536)
        except (ConnectionResetError, BrokenPipeError):
            return b""


def request_of(
    method: str, path: str, *lines: str, body: bytes = b"", length: int | None = None
) -> bytes:
    """Write a request; `length` is what it says of its body, if not the truth."""
    said = len(body) if length is None else length
    head = [f"{method} {path} HTTP/1.1", "Host: x", *lines]
    if body or length is not None:
        head.append(f"Content-Length: {said}")
    return "\r\n".join([*head, "", ""]).encode() + body


def chat_request(gateway: RunningGateway, *lines: str, **fields: Any) -> bytes:
    """Write a good chat request, or nearly, with more header lines."""
    body = json.dumps({"model": MODEL, "messages": HELLO, **fields}).encode()
    return request_of("POST", CHAT, f"Authorization: Bearer {gateway.key}", *lines, body=body)
