import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from regulars.demo.servers import DEMO_PROVIDERS, demo_servers
from regulars.demo.tiny_model import MODEL_ID, DemoError, tiny_model
from regulars.model.catalog import Endpoint


def chat(endpoint: Endpoint, messages: list[dict[str, str]]) -> dict[str, Any]:
    connection = http.client.HTTPConnection(urlsplit(endpoint.provider.base_url).netloc, timeout=30)
    body = json.dumps({"model": MODEL_ID, "messages": messages, "max_tokens": 16})
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    answer: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def is_listening(endpoint: Endpoint) -> bool:
    connection = http.client.HTTPConnection(urlsplit(endpoint.provider.base_url).netloc, timeout=1)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


def test_the_model_is_written_once(tmp_path: Path) -> None:
    first = tiny_model(tmp_path)
    written_at = first.stat().st_mtime_ns

    second = tiny_model(tmp_path)

    assert second == first
    assert second.stat().st_mtime_ns == written_at
    assert [file.name for file in first.parent.iterdir()] == [first.name]
    assert first.stat().st_size < 1_000_000


def test_the_second_turn_of_a_chat_reads_the_first_from_a_real_cache(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "Be kind. " * 20}, {"role": "user", "content": "Hi"}]

    with demo_servers(tmp_path) as catalog:
        endpoint = catalog.endpoints[0]
        first = chat(endpoint, messages)
        said = first["choices"][0]["message"]["content"]
        messages += [{"role": "assistant", "content": said}, {"role": "user", "content": "And?"}]
        second = chat(endpoint, messages)

    cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    # the answer as well: history is cut into tokens as it was generated
    assert cached >= first["usage"]["total_tokens"] - 1
    assert said.isascii()
    assert said.isprintable()


def test_three_priced_providers_offer_one_model_and_stop_with_the_demo(tmp_path: Path) -> None:
    with demo_servers(tmp_path) as catalog:
        (model,) = catalog.models.values()
        listening = [is_listening(endpoint) for endpoint in model.endpoints]

    assert listening == [True, True, True]
    assert [is_listening(endpoint) for endpoint in model.endpoints] == [False, False, False]
    assert [e.id for e in model.endpoints] == [f"{row.slug}/{MODEL_ID}" for row in DEMO_PROVIDERS]
    assert all(e.price and e.price.cache_read == e.price.prompt / 10 for e in model.endpoints)


def test_a_server_that_cannot_start_is_an_error_and_leaves_none_behind(tmp_path: Path) -> None:
    file = tiny_model(tmp_path)
    file.write_bytes(b"not a model")

    with pytest.raises(DemoError, match="did not start"), demo_servers(tmp_path):
        pass
