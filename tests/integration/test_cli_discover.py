import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server

from regulars.config.discover import discover
from regulars.config.known_providers import LocalServer
from regulars.config.load import Prices
from regulars.model.money import Price


def nothing_to_read(_table: object) -> Price:
    raise AssertionError("no price tables here")


PRICES = Prices(of=lambda _query: None, read=nothing_to_read)


@contextmanager
def web_server(status: int, body: bytes) -> Generator[LocalServer]:
    """A real server that answers every GET alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield LocalServer("ollama", "Ollama", server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_a_local_server_is_found_on_its_port() -> None:
    body = json.dumps({"object": "list", "data": [{"id": "llama3.2:3b"}]}).encode()

    with web_server(200, body) as server:
        found = discover({}, PRICES, servers=[LocalServer("vllm", "vLLM", free_port()), server])

    assert found is not None
    endpoint = found.catalog.models["ollama/llama3.2:3b"].endpoints[0]
    assert endpoint.provider.base_url == f"http://127.0.0.1:{server.port}/v1"
    assert endpoint.provider.key is None
    assert found.where == f"local server: Ollama on port {server.port}"


def test_a_key_in_the_environment_wins_over_a_local_server() -> None:
    with web_server(200, b'{"data": [{"id": "m"}]}') as server:
        found = discover({"XAI_API_KEY": "k"}, PRICES, servers=[server])

    assert found is not None
    assert "x-ai/grok-4.7" in found.catalog.models


def test_another_web_server_on_the_port_is_not_a_provider() -> None:
    with web_server(200, b"<html>hello</html>") as server:
        assert discover({}, PRICES, servers=[server]) is None


def test_a_refusal_is_not_a_provider() -> None:
    with web_server(401, b'{"data": [{"id": "m"}]}') as server:
        assert discover({}, PRICES, servers=[server]) is None


def test_a_silent_port_is_given_up() -> None:
    with create_server(("127.0.0.1", 0)) as silent:
        server = LocalServer("ollama", "Ollama", silent.getsockname()[1])

        assert discover({}, PRICES, servers=[server]) is None
