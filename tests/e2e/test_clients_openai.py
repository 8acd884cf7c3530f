"""OpenAI's SDK and plain `requests` against the gateway: only the base URL is ours."""

import asyncio
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

from fakes.provider import Script, ScriptedProvider, error_script
from fakes.running_gateway import MODEL, RunningGateway, running_gateway

TEXT = "Hello from the scripted provider."
ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What's the weather?"}]
WAIT_S = 10.0


@pytest.fixture
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Generator[RunningGateway]:
    with running_gateway(tmp_path, [provider]) as running:
        yield running


@pytest.fixture(params=["/api/v1", "/v1"])
def base_url(request: pytest.FixtureRequest, gateway: RunningGateway) -> str:
    return gateway.url + request.param


def client(
    gateway: RunningGateway,
    *,
    key: str | None = None,
    base_url: str | None = None,
    max_retries: int = 0,
) -> OpenAI:
    return OpenAI(
        api_key=key or gateway.key,
        base_url=base_url or f"{gateway.url}/api/v1",
        max_retries=max_retries,
        timeout=WAIT_S,
    )


def assert_answer(answer: ChatCompletion) -> None:
    assert answer.id.startswith("gen-")
    assert answer.model == MODEL
    assert answer.choices[0].message.content == TEXT
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model_extra == {"provider": "Provider 0"}
    assert answer.usage
    assert answer.usage.prompt_tokens_details
    assert answer.usage.prompt_tokens_details.cached_tokens is not None
    extra: dict[str, Any] = answer.usage.model_extra or {}
    parts = extra["cost_details"]
    assert extra["cost"] == pytest.approx(
        parts["upstream_inference_prompt_cost"] + parts["upstream_inference_completions_cost"]
    )
    assert extra["cost"] > 0


def test_a_whole_answer(gateway: RunningGateway, base_url: str) -> None:
    with client(gateway, base_url=base_url) as sdk:
        answer = sdk.chat.completions.create(model=MODEL, messages=ASK, user="openai")
    assert_answer(answer)
    assert gateway.rows()[-1].end_user == "openai"


def test_a_stream_ends_with_usage_asked_for_or_not(gateway: RunningGateway, base_url: str) -> None:
    with client(gateway, base_url=base_url) as sdk:
        chunks = list(
            sdk.chat.completions.create(model=MODEL, messages=ASK, user="openai", stream=True)
        )

    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
    assert {(chunk.id[:4], chunk.model) for chunk in chunks} == {("gen-", MODEL)}
    usage = chunks[-1].usage
    assert usage
    assert usage.model_extra
    assert usage.model_extra["cost"] > 0


def test_the_async_client_gets_the_same(gateway: RunningGateway) -> None:
    async def both() -> tuple[ChatCompletion, list[str]]:
        async with AsyncOpenAI(
            api_key=gateway.key, base_url=f"{gateway.url}/api/v1", max_retries=0, timeout=WAIT_S
        ) as sdk:
            create = sdk.chat.completions.create
            whole, stream = await asyncio.gather(
                create(model=MODEL, messages=ASK, user="a"),
                create(model=MODEL, messages=ASK, user="b", stream=True),
            )
            pieces = [c.choices[0].delta.content or "" async for c in stream if c.choices]
            return whole, pieces

    whole, pieces = asyncio.run(both())

    assert_answer(whole)
    assert "".join(pieces) == TEXT


def test_openrouters_extensions_pass_through_extra_body(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    with client(gateway) as sdk:
        answer = sdk.chat.completions.create(
            model=MODEL,
            messages=ASK,
            user="x",
            extra_body={"session_id": "talk", "provider": {"sort": "price"}, "top_k": 5},
            extra_headers={"X-Title": "my app"},
        )

    row = next(row for row in gateway.rows() if row.id == answer.id)
    assert (row.session, row.app) == ("talk", "my app")
    assert provider.requests[-1].json["top_k"] == 5


def test_models_are_listed(gateway: RunningGateway) -> None:
    with client(gateway) as sdk:
        assert [model.id for model in sdk.models.list()] == [MODEL]


def test_a_raw_answer_shows_the_generations_id(gateway: RunningGateway) -> None:
    with client(gateway) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model=MODEL, messages=ASK)

    assert raw.headers["x-generation-id"] == raw.parse().id


def test_errors_are_the_sdks_own(gateway: RunningGateway, provider: ScriptedProvider) -> None:
    with client(gateway) as sdk, client(gateway, key="sk-reg-wrong") as stranger:
        with pytest.raises(openai.AuthenticationError, match="not known here"):
            stranger.chat.completions.create(model=MODEL, messages=ASK)
        with pytest.raises(openai.BadRequestError, match="'no/such' is not served here"):
            sdk.chat.completions.create(model="no/such", messages=ASK)
        provider.enqueue(error_script(503, "busy"))
        with pytest.raises(openai.InternalServerError, match="busy") as caught:
            sdk.chat.completions.create(model=MODEL, messages=ASK)
        # last: the only endpoint rests after it
        provider.enqueue(error_script(429, "slow down"))
        with pytest.raises(openai.RateLimitError, match="slow down"):
            sdk.chat.completions.create(model=MODEL, messages=ASK)

    assert caught.value.status_code == 503
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["metadata"]["error_type"] == "provider_overloaded"


def test_the_sdks_own_retry_heals_a_503(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    provider.enqueue(error_script(503, "busy"))

    with client(gateway, max_retries=1) as sdk:
        answer = sdk.chat.completions.create(model=MODEL, messages=ASK, user="retry")

    statuses = [row.status for row in gateway.rows() if row.end_user == "retry"]
    assert_answer(answer)
    assert statuses == [503, 200]


def test_a_failure_in_mid_stream_is_raised(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    provider.enqueue(Script(error={"code": 503, "message": "lost the gpu"}, error_after=2))
    got: list[str] = []

    with client(gateway) as sdk:
        stream = sdk.chat.completions.create(model=MODEL, messages=ASK, stream=True)
        with pytest.raises(openai.APIError, match="lost the gpu"):
            got.extend(c.choices[0].delta.content or "" for c in stream)

    assert TEXT.startswith("".join(got))
    assert "".join(got)


def test_plain_requests_get_whole_answers_and_streams(gateway: RunningGateway) -> None:
    body = {"model": MODEL, "messages": ASK, "user": "plain"}
    url = f"{gateway.url}/api/v1/chat/completions"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {gateway.key}"
        whole = session.post(url, data=json.dumps(body), timeout=WAIT_S)
        stream = session.post(url, json={**body, "stream": True}, stream=True, timeout=WAIT_S)
        lines = [line for line in stream.iter_lines(decode_unicode=True) if line]
        refused = session.post(url, json={**body, "user": 5}, timeout=WAIT_S)

    assert whole.json()["choices"][0]["message"]["content"] == TEXT
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[-2].removeprefix("data: "))["usage"]["cost"] > 0
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 400)
    assert "user: is not a string" in refused.json()["error"]["message"]


def test_all_chunks_of_a_stream_say_the_same_time(gateway: RunningGateway) -> None:
    with client(gateway) as sdk:
        chunks = list(sdk.chat.completions.create(model=MODEL, messages=ASK, stream=True))

    assert len({chunk.created for chunk in chunks}) == 1
