import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from regulars.demo.chat_client import ChatError, Target
from regulars.demo.people import people
from regulars.demo.users import play, requests_of

USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "cost": 0.001,
    "prompt_tokens_details": {"cached_tokens": 60},
}
WHOLE = json.dumps({"choices": [{"message": {"content": "said"}}], "usage": USAGE}).encode()
STREAM = (
    b": hello\n\n"
    b'data: {"choices": [{"delta": {"content": "sa"}}]}\n\n'
    b'data: {"choices": [{"delta": {"content": "id"}}]}\n\n'
    b'data: {"choices": [], "usage": ' + json.dumps(USAGE).encode() + b"}\n\ndata: [DONE]\n\n"
)


@dataclass
class Gateway:
    """A stand-in for a gateway: answers alike, remembers what it was asked."""

    whole: tuple[int, bytes] = (200, WHOLE)
    stream: bytes = STREAM
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @contextmanager
    def running(self) -> Generator[Target]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(length))
                gateway.asked.append(body)
                status, raw = (200, gateway.stream) if body.get("stream") else gateway.whole
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Target(f"http://127.0.0.1:{server.server_address[1]}", "sk-reg-x", "demo/x")
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def test_everybody_has_all_their_chats_with_growing_histories() -> None:
    gateway = Gateway()
    crowd = people(10)

    with gateway.running() as target:
        summary = play(target, crowd, lambda: None)

    turns = [m["content"] for m in gateway.asked[-1]["messages"] if m["role"] == "assistant"]
    assert len(gateway.asked) == summary.requests == requests_of(crowd)
    assert {body["user"] for body in gateway.asked} == {person.id for person in crowd}
    assert any(body.get("stream") for body in gateway.asked)
    assert all(24 <= body["max_tokens"] <= 48 for body in gateway.asked)
    assert turns
    assert set(turns) == {"said"}
    assert summary.cached_ratio == 0.6
    assert summary.cost_usd == pytest.approx(0.001 * summary.requests)


def test_a_refusal_ends_the_play_with_the_gateways_words() -> None:
    refusal = (400, b'{"error": {"message": "no such model: demo/x"}}')

    with (
        Gateway(whole=refusal).running() as target,
        pytest.raises(ChatError, match="400: no such model: demo/x"),
    ):
        play(target, people(10), lambda: None)


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b'data: {"error": {"message": "upstream left"}}\n\n', "upstream left"),
        (b'data: {"choices": []}\n\n', "without"),
        (b"data: {oops\n\n", "no chat answer"),
    ],
)
def test_a_broken_stream_ends_the_play(stream: bytes, words: str) -> None:
    with Gateway(stream=stream).running() as target, pytest.raises(ChatError, match=words):
        play(target, people(1), lambda: None)


def test_a_gateway_that_is_not_there_is_named() -> None:
    with Gateway().running() as target:
        pass

    with pytest.raises(ChatError, match=r"no answer from http://127\.0\.0\.1"):
        play(target, people(1), lambda: None)


def test_the_crowd_is_varied_and_always_the_same() -> None:
    crowd = people(36)

    assert crowd == people(36)
    assert len({person.id for person in crowd}) == 36
    assert {person.streams for person in crowd} == {True, False}
    assert max(p.conversations * p.turns for p in crowd) >= 6 * min(
        p.conversations * p.turns for p in crowd
    )
