import json
import time
from typing import Any

import requests

from fakes.provider import Script, ScriptedProvider, error_script

MESSAGES = [{"role": "system", "content": "You are brief. " * 20}]
ASK: dict[str, Any] = {"model": "tiny", "messages": MESSAGES}


def ask(provider: ScriptedProvider, **more: Any) -> requests.Response:
    return requests.post(f"{provider.url}/chat/completions", json={**ASK, **more}, timeout=5)


def events(answer: requests.Response) -> list[Any]:
    lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


def test_default_answer_is_a_chat_completion_with_usage() -> None:
    with ScriptedProvider(default=Script(text="Hi there")) as provider:
        answer = ask(provider).json()

    assert answer["object"] == "chat.completion"
    assert answer["id"].startswith("chatcmpl-")
    assert answer["model"] == "tiny"
    assert answer["choices"][0]["message"]["content"] == "Hi there"
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}


def test_default_stream_adds_up_to_the_text_and_reports_usage_when_asked() -> None:
    with ScriptedProvider(default=Script(text="Hi there, you", chunks=3)) as provider:
        answer = ask(provider, stream=True, stream_options={"include_usage": True})

    chunks = events(answer)
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.endswith("data: [DONE]\n\n")
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1]) == (
        "Hi there, you"
    )
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 3


def test_stream_reports_no_usage_unless_asked() -> None:
    with ScriptedProvider() as provider:
        answer = ask(provider, stream=True)

    assert [chunk for chunk in events(answer) if "usage" in chunk] == []


def test_usage_places_differ_in_which_chunks_carry_it() -> None:
    with ScriptedProvider() as provider:
        provider.enqueue(
            Script(usage="finish"), Script(usage="twice"), Script(usage="every"), Script(chunks=1)
        )

        answers = [events(ask(provider, stream=True)) for _ in range(4)]

    counts = [sum("usage" in chunk for chunk in answer) for answer in answers]
    assert counts == [1, 2, 6, 0]


def test_a_longer_conversation_finds_its_beginning_cached() -> None:
    with ScriptedProvider(default=Script(text="Yes.")) as provider:
        first = ask(provider).json()["usage"]
        turns = [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And now?"}]
        second = ask(provider, messages=MESSAGES + turns).json()["usage"]

    assert second["prompt_tokens_details"]["cached_tokens"] > first["prompt_tokens"]
    assert second["prompt_tokens_details"]["cached_tokens"] < second["prompt_tokens"]


def test_the_cache_forgets_after_its_time() -> None:
    with ScriptedProvider(cache_ttl_s=0.0) as provider:
        ask(provider)
        usage = ask(provider).json()["usage"]

    assert usage["prompt_tokens_details"]["cached_tokens"] == 0


def test_requests_are_recorded_with_their_connection() -> None:
    with ScriptedProvider() as provider, requests.Session() as session:
        session.post(f"{provider.url}/chat/completions", json=ASK, headers={"x-mine": "1"})
        session.post(f"{provider.url}/chat/completions", json=ASK)
        ask(provider)

    assert [request.connection for request in provider.requests] == [1, 1, 2]
    assert provider.requests[0].path == "/v1/chat/completions"
    assert provider.requests[0].headers["x-mine"] == "1"
    assert provider.requests[0].json == ASK


def test_error_body_and_status_are_as_scripted() -> None:
    with ScriptedProvider() as provider:
        provider.enqueue(error_script(429, "slow down", code="rate", headers={"retry-after": "7"}))

        answer = ask(provider)

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["error"] == {
        "message": "slow down",
        "type": "invalid_request_error",
        "param": None,
        "code": "rate",
    }


def test_error_inside_a_stream_ends_it() -> None:
    with ScriptedProvider() as provider:
        provider.enqueue(Script(error={"message": "gone", "code": 502}, error_after=2))

        chunks = events(ask(provider, stream=True))

    assert len(chunks) == 4
    assert chunks[-1]["error"] == {"message": "gone", "code": 502}


def test_newlines_comments_and_grouping_are_as_scripted() -> None:
    with ScriptedProvider() as provider:
        provider.enqueue(
            Script(newline="\r\n", comment="wait", events_per_write=9, done=False, chunks=1)
        )

        text = ask(provider, stream=True).text

    assert text.startswith(": wait\r\n\r\ndata: {")
    assert text.count(": wait\r\n\r\n") == 3
    assert "[DONE]" not in text


def test_gzip_though_not_asked() -> None:
    with ScriptedProvider() as provider:
        provider.enqueue(Script(compress="gzip", text="Pressed"))

        answer = ask(provider)

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["choices"][0]["message"]["content"] == "Pressed"


def test_delays_hold_back_the_head() -> None:
    with ScriptedProvider() as provider:
        provider.enqueue(Script(head_delay_s=0.1))
        begun = time.monotonic()

        ask(provider)

    assert time.monotonic() - begun >= 0.1


def test_a_client_that_leaves_is_noticed() -> None:
    with ScriptedProvider() as provider:
        provider.enqueue(Script(endless=True, body=b"x" * 1000))
        answer = requests.post(provider.url, json=ASK, stream=True, timeout=5)

        answer.close()
        provider.wait_until(lambda: len(provider.abandoned) == 1)

    assert provider.abandoned == provider.requests


def test_open_connections_can_be_closed() -> None:
    with ScriptedProvider() as provider, requests.Session() as session:
        session.get(f"{provider.url}/models")

        provider.close_connections()

        assert provider.open_connections == 0
        # Anew: the session's own connection may not have heard of its end yet.
        again = requests.get(f"{provider.url}/models", timeout=5)
        assert again.json()["data"][0]["id"] == "tiny"
