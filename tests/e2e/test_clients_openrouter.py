"""OpenRouter's own SDK against the gateway. Its models are strict, and what they silently drop
becomes unset: every assertion is on a parsed value."""

from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from openrouter import OpenRouter, errors
from openrouter.components import ChatMessagesTypedDict, ChatResult, ChatStreamChunk
from openrouter.components.generationcontentdata import Input2
from openrouter.operations import GetUserActivityRequest
from openrouter.utils import BackoffStrategy, RetryConfig

from fakes.provider import Script, ScriptedProvider, error_script
from fakes.running_gateway import HELLO, MODEL, RunningGateway, running_gateway
from fakes.utc_day import today
from regulars.config.settings import ContentSettings

NO_RETRIES = RetryConfig("none", BackoffStrategy(1, 1, 1.0, 1), retry_connection_errors=False)
"""Left alone, the SDK tries a 5xx again for up to an hour."""

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 900},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
PROMPT_USD = 100 * 0.60e-6 + 900 * 0.06e-6
COMPLETION_USD = 50 * 0.80e-6


@pytest.fixture
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider(default=Script(usage_tokens=USAGE)) as running:
        yield running


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Generator[RunningGateway]:
    with running_gateway(tmp_path, [provider]) as running:
        yield running


def client(gateway: RunningGateway, key: str | None = None) -> OpenRouter:
    return OpenRouter(
        api_key=key or gateway.key,
        server_url=f"{gateway.url}/api/v1",
        retry_config=NO_RETRIES,
        x_open_router_title="test of the SDK",
        http_referer="https://app.example",
    )


def chat(gateway: RunningGateway, *, key: str | None = None, **fields: Any) -> ChatResult:
    # the SDK's overloads cannot be called with fields that vary
    asked: dict[str, Any] = {"messages": HELLO, "model": MODEL, "user": "u", **fields}
    with client(gateway, key) as sdk:
        send: Callable[..., object] = sdk.chat.send
        answer = send(**asked)
    assert isinstance(answer, ChatResult)
    return answer


def stream(gateway: RunningGateway) -> list[ChatStreamChunk]:
    with client(gateway) as sdk:
        asked: list[ChatMessagesTypedDict] = [{"role": "user", "content": "Hi"}]
        with sdk.chat.send(messages=asked, model=MODEL, user="u", stream=True) as events:
            return list(events)


def assert_usage(usage: Any) -> None:
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (1000, 50, 1050)
    assert usage.prompt_tokens_details.cached_tokens == 900
    assert usage.completion_tokens_details.reasoning_tokens == 20
    costs = usage.cost_details
    assert costs.upstream_inference_prompt_cost == pytest.approx(PROMPT_USD)
    assert costs.upstream_inference_completions_cost == pytest.approx(COMPLETION_USD)
    assert usage.cost == pytest.approx(PROMPT_USD + COMPLETION_USD)
    assert usage.is_byok is False


def test_a_whole_answer_is_parsed_to_its_last_part(gateway: RunningGateway) -> None:
    answer = chat(gateway)

    (choice,) = answer.choices
    assert answer.id.startswith("gen-")
    assert answer.model == MODEL
    assert choice.message.content == "Hello from the scripted provider."
    assert choice.finish_reason == "stop"
    assert_usage(answer.usage)


def test_a_stream_is_parsed_to_its_last_part(gateway: RunningGateway) -> None:
    chunks = stream(gateway)

    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "Hello from the scripted provider."
    assert len({chunk.id for chunk in chunks}) == 1
    assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert_usage(chunks[-1].usage)


def test_how_an_answer_was_routed_is_parsed(gateway: RunningGateway) -> None:
    told = chat(gateway, x_open_router_metadata="enabled").openrouter_metadata

    assert told is not None
    assert (told.requested, told.strategy, told.attempt) == (MODEL, "direct", 1)
    assert told.endpoints.total == 1
    assert [one.selected for one in told.endpoints.available] == [True]
    assert told.attempts is not None
    assert [(one.provider, one.status) for one in told.attempts] == [("Provider 0", 200)]
    assert chat(gateway).openrouter_metadata is None


def test_a_generation_is_parsed(gateway: RunningGateway) -> None:
    answer = chat(gateway, user="user_12345", session_id="talk")

    with client(gateway) as sdk:
        data = sdk.generations.get_generation(id=answer.id).data

    assert data.id == answer.id
    assert data.external_user == "user_12345"
    assert data.session_id == "talk"
    assert (data.model, data.provider_name) == (MODEL, "Provider 0")
    assert data.upstream_id is not None
    assert data.upstream_id.startswith("chatcmpl-")
    assert data.total_cost == data.usage == pytest.approx(PROMPT_USD + COMPLETION_USD)
    assert data.cache_discount == pytest.approx(900 * 0.54e-6)
    assert (data.native_tokens_prompt, data.native_tokens_completion) == (1000, 50)
    assert (data.native_tokens_cached, data.native_tokens_reasoning) == (900, 20)
    assert (data.tokens_prompt, data.tokens_completion) == (1000, 50)
    assert (data.finish_reason, data.native_finish_reason) == ("stop", "stop")
    assert (data.streamed, data.cancelled, data.is_byok) == (False, False, False)
    assert data.origin == data.http_referer == "https://app.example"
    assert datetime.fromisoformat(data.created_at).tzinfo is UTC
    assert data.latency is not None
    assert data.generation_time is not None
    assert 0 < data.latency <= data.generation_time
    assert data.provider_responses
    assert (data.provider_responses[0].status, data.provider_responses[0].endpoint_id) == (
        200,
        f"p0/{MODEL}",
    )


def test_models_and_endpoints_are_parsed(gateway: RunningGateway) -> None:
    with client(gateway) as sdk:
        listed = sdk.models.list()
        endpoints = sdk.endpoints.list(author="test", slug="tiny").data.endpoints

    assert listed is not None
    (model,) = listed.result.data
    assert (model.id, model.name, model.context_length) == (MODEL, "Tiny", 4096)
    assert Decimal(model.pricing.prompt) == Decimal("0.60") / 10**6
    assert Decimal(str(model.pricing.input_cache_read)) == Decimal("0.06") / 10**6
    assert listed.result.total_count == 1
    assert [(e.provider_name, e.tag, e.status) for e in endpoints] == [("Provider 0", "p0", 0)]
    assert Decimal(endpoints[0].pricing.completion) == Decimal("0.80") / 10**6
    assert endpoints[0].supports_implicit_caching is True


def test_activity_is_parsed(gateway: RunningGateway) -> None:
    day = today()
    chat(gateway)
    with client(gateway, gateway.management_key) as sdk:
        items = sdk.analytics.get_user_activity(request=GetUserActivityRequest(date_=day)).data
        without_today = sdk.analytics.get_user_activity().data

    (item,) = items
    rows = gateway.rows()
    assert (item.date_, item.model, item.provider_name) == (day, MODEL, "Provider 0")
    assert (item.endpoint_id, item.model_permaslug) == (f"p0/{MODEL}", MODEL)
    assert item.requests == len(rows)
    assert item.usage == pytest.approx(sum(row.cost.total for row in rows if row.cost) / 1e9)
    assert item.cached_tokens == sum(row.usage.cached_tokens or 0 for row in rows if row.usage)
    assert without_today == []


def test_what_may_be_asked_of_analytics_is_parsed(gateway: RunningGateway) -> None:
    with client(gateway, gateway.management_key) as sdk:
        meta = sdk.analytics.get_analytics_meta().data

    metrics = {each.name: each for each in meta.metrics}
    assert (metrics["total_usage"].display_format, metrics["total_usage"].is_rate) == (
        "currency",
        False,
    )
    assert (metrics["p90_latency"].display_format, metrics["p90_latency"].is_rate) == (
        "latency",
        True,
    )
    assert "external_user" in {each.name for each in meta.dimensions}
    assert {each.name: each.value_type for each in meta.operators}["in"] == "array"
    assert [each.name for each in meta.granularities][2:] == ["day", "week", "month"]


def test_an_analytics_query_is_parsed(gateway: RunningGateway) -> None:
    for user in ("ann", "bob", "ann"):
        chat(gateway, user=user)
    end = datetime.now(UTC) + timedelta(hours=1)

    with client(gateway, gateway.management_key) as sdk:
        data = sdk.analytics.query_analytics(
            metrics=["request_count", "total_usage"],
            dimensions=["external_user"],
            filters=[{"field": "external_user", "operator": "in", "value": ["ann", "bob"]}],
            time_range={"start": end - timedelta(days=1), "end": end},
            order_by={"field": "request_count", "direction": "desc"},
            limit=1,
        ).data

    assert (data.metadata.row_count, data.metadata.truncated) == (1, True)
    assert data.metadata.query_time_ms > 0
    assert len(data.data) == 1


def test_a_wrong_analytics_query_is_the_sdks_error(gateway: RunningGateway) -> None:
    with (
        client(gateway, gateway.management_key) as sdk,
        pytest.raises(errors.BadRequestResponseError, match="'reqests' is not known"),
    ):
        sdk.analytics.query_analytics(metrics=["reqests"])


def test_activity_of_one_member_is_that_end_users(gateway: RunningGateway) -> None:
    for user in ("ann", "bob"):
        chat(gateway, user=user)
    asked = GetUserActivityRequest(user_id="ann", group_by="workspace")

    with client(gateway, gateway.management_key) as sdk:
        items = sdk.analytics.get_user_activity(request=asked).data

    assert [item.requests for item in items] == [1]
    assert items[0].usage == pytest.approx(PROMPT_USD + COMPLETION_USD)


def test_external_users_are_parsed_page_by_page(gateway: RunningGateway) -> None:
    for user in ("cy", "ann", "bob", "ann"):
        chat(gateway, user=user)
    seen = [row.created_at_us / 1e6 for row in gateway.rows() if row.end_user == "ann"]

    with client(gateway, gateway.management_key) as sdk:
        page = sdk.external_users.list(limit=2)
        rest = sdk.external_users.list(limit=2, offset=2)
        one = sdk.external_users.list(user="cy")

    assert page is not None
    assert rest is not None
    assert one is not None
    assert [each.user for each in page.result.data] == ["ann", "bob"]
    assert [each.user for each in rest.result.data] == ["cy"]
    assert [each.user for each in one.result.data] == ["cy"]
    assert (page.result.total_count, one.result.total_count) == (3, 1)
    ann = page.result.data[0]
    assert ann.is_active is True
    times = [ann.created_at.timestamp(), ann.updated_at.timestamp()]
    assert times == pytest.approx(seen, abs=0.001)


# The SDK warns of the deprecated fields `rate_limit` and `is_provisioning_key`, which it needs.
@pytest.mark.filterwarnings("ignore:.*DEPRECATED.*:DeprecationWarning")
def test_the_key_itself_is_parsed(gateway: RunningGateway) -> None:
    chat(gateway)
    with client(gateway) as sdk:
        data = sdk.api_keys.get_current_key_metadata().data

    spent = sum(row.cost.total for row in gateway.rows() if row.cost) / 1e9
    assert data.usage == pytest.approx(spent)
    assert data.usage_daily == pytest.approx(spent)
    assert data.limit is None
    assert data.is_management_key is False
    assert data.allowed_data_regions == ["global"]
    assert data.rate_limit.requests == -1
    assert gateway.key.startswith(data.label.split("...")[0])


def test_keys_are_made_listed_changed_and_deleted(gateway: RunningGateway) -> None:
    expires_at = datetime(2999, 1, 31, tzinfo=UTC)
    with client(gateway, gateway.management_key) as sdk:
        created = sdk.api_keys.create(
            name="shop", limit=2.5, limit_reset="weekly", expires_at=expires_at
        )
        chat(gateway, key=created.key)
        listed = sdk.api_keys.list(include_disabled=True)
        renamed = sdk.api_keys.update(hash=created.data.hash, name="stall", disabled=True).data
        found = sdk.api_keys.get(hash=created.data.hash).data
        deleted = sdk.api_keys.delete(hash=created.data.hash)

    assert created.key.startswith("sk-reg-")
    assert (created.data.limit, created.data.limit_remaining) == (2.5, 2.5)
    assert (created.data.limit_reset, created.data.expires_at) == ("weekly", expires_at)
    spent = PROMPT_USD + COMPLETION_USD
    used = next(key for key in listed.data if key.hash == created.data.hash)
    assert len(listed.data) == 3
    assert used.usage == used.usage_daily == used.usage_weekly == pytest.approx(spent)
    assert used.limit_remaining == pytest.approx(2.5 - spent)
    assert (used.byok_usage, used.byok_usage_monthly) == (0, 0)
    assert used.last_used_at is not None
    assert (renamed.name, renamed.disabled) == ("stall", True)
    assert renamed.updated_at is not None
    assert (found.name, found.limit, found.external_user) == ("stall", 2.5, None)
    assert deleted.DELETED is True


def test_a_spent_limit_is_the_sdks_error(gateway: RunningGateway) -> None:
    with client(gateway, gateway.management_key) as sdk:
        secret = sdk.api_keys.create(name="poor", limit=0).key

    with pytest.raises(errors.PaymentRequiredResponseError, match="spent its limit") as caught:
        chat(gateway, key=secret)

    assert caught.value.data.error.code == 402


def test_what_was_said_is_parsed(provider: ScriptedProvider, tmp_path: Path) -> None:
    kept = ContentSettings(enabled=True)
    with running_gateway(tmp_path, [provider], content=kept) as gateway:
        body = b'{"name": "kept", "content_share": 1}'
        made = gateway.request("POST", "/api/v1/keys", body, key=gateway.management_key)
        answer = chat(gateway, key=made.json["key"])
        path = f"/api/v1/generation/content?id={answer.id}"
        pause, until_s = Event(), monotonic() + 5.0
        while gateway.get(path).status == 404 and monotonic() < until_s:
            pause.wait(0.01)
        with client(gateway, gateway.management_key) as sdk:
            data = sdk.generations.list_generation_content(id=answer.id).data

    assert isinstance(data.input, Input2)
    assert data.input.messages == HELLO
    assert data.output.completion == "Hello from the scripted provider."
    assert data.output.reasoning is None
    assert data.error is None


def test_a_bad_request_is_the_sdks_bad_request(gateway: RunningGateway) -> None:
    with pytest.raises(errors.BadRequestResponseError, match="'no/such' is not served") as caught:
        chat(gateway, model="no/such")

    assert caught.value.data.error.code == 400
    assert caught.value.data.error.metadata == {"error_type": "invalid_request"}


def test_keys_are_the_sdks_errors(gateway: RunningGateway) -> None:
    with pytest.raises(errors.UnauthorizedResponseError, match="not known here"):
        chat(gateway, key="sk-reg-wrong")
    with pytest.raises(errors.ForbiddenResponseError, match="may not chat"):
        chat(gateway, key=gateway.management_key)
    with client(gateway) as sdk, pytest.raises(errors.ForbiddenResponseError, match="management"):
        sdk.analytics.get_user_activity()
    with client(gateway) as sdk, pytest.raises(errors.NotFoundResponseError, match="gen-none"):
        sdk.generations.get_generation(id="gen-none")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, errors.TooManyRequestsResponseError),
        (503, errors.ServiceUnavailableResponseError),
    ],
)
def test_an_upstreams_failure_is_the_sdks_error(
    gateway: RunningGateway,
    provider: ScriptedProvider,
    status: int,
    kind: type[errors.OpenRouterError],
) -> None:
    provider.enqueue(error_script(status, "not now"))

    with pytest.raises(kind, match="not now") as caught:
        chat(gateway)

    assert caught.value.status_code == status


def test_a_failure_in_mid_stream_is_the_last_chunk(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    provider.enqueue(Script(error={"code": 503, "message": "lost the gpu"}, error_after=2))

    chunks = stream(gateway)

    error = chunks[-1].error
    assert error is not None
    assert error.code == 503
    assert "lost the gpu" in error.message
    assert error.metadata is not None
    assert error.metadata.error_type == "provider_overloaded"
    assert chunks[-1].choices[0].finish_reason == "error"
