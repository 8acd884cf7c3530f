"""Chat requests through the real gateway to scripted providers: what the client gets."""

import json
from pathlib import Path

import pytest

from fakes.provider import Script, ScriptedProvider, error_script
from fakes.running_gateway import HELLO, MODEL, RunningGateway, running_gateway
from regulars.config.settings import ServerSettings
from regulars.model.generation import Outcome, UsageSource


def test_a_whole_answer_has_openrouters_form(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        got = gateway.chat(user="user_12345")

    answer = got.json
    assert got.status == 200
    assert got.headers["x-generation-id"] == answer["id"]
    assert answer["id"].startswith("gen-")
    assert answer["object"] == "chat.completion"
    assert (answer["model"], answer["provider"]) == (MODEL, "Provider 0")
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["choices"][0]["native_finish_reason"] == "stop"
    assert answer["choices"][0]["message"]["role"] == "assistant"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    details = usage["cost_details"]
    parts = (
        details["upstream_inference_prompt_cost"] + details["upstream_inference_completions_cost"]
    )
    assert usage["cost"] == pytest.approx(parts)
    assert usage["cost"] > 0


def test_a_stream_has_openrouters_form(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        whole = gateway.chat(user="u", stream=False)
        got = gateway.chat(user="u", stream=True)

    assert got.headers["content-type"].startswith("text/event-stream")
    assert got.data[-1] == "[DONE]"
    assert got.text == whole.json["choices"][0]["message"]["content"]
    events = got.events
    assert {event["id"] for event in events} == {got.headers["x-generation-id"]}
    assert {event["model"] for event in events} == {MODEL}
    assert {event["provider"] for event in events} == {"Provider 0"}
    assert [("usage" in event, event["choices"] == []) for event in events] == [
        *[(False, False)] * (len(events) - 1),
        (True, True),
    ]
    assert events[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0


def test_the_upstream_gets_the_clients_words_and_none_of_his_names(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        gateway.chat(
            user="secret_user",
            session_id="secret_session",
            provider={"order": ["x"]},
            temperature=0.25,
            stream=True,
            made_up={"nested": [1, 2.50, "é"]},
        )
        (sent,) = provider.requests

    assert sent.path == "/v1/chat/completions"
    assert sent.headers["authorization"] == "Bearer upstream-secret"
    assert sent.json == {
        "model": "tiny",
        "messages": HELLO,
        "temperature": 0.25,
        "stream": True,
        "stream_options": {"include_usage": True},
        "made_up": {"nested": [1, 2.50, "é"]},
    }


def test_a_user_stays_and_reports_cached_tokens(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as one,
        ScriptedProvider() as two,
        running_gateway(tmp_path, [one, two]) as gateway,
    ):
        answers = [gateway.chat(user="u").json for _ in range(4)]
        other = gateway.chat(user="other").json["provider"]

    assert len({answer["provider"] for answer in answers}) == 1
    assert all(
        answer["usage"]["prompt_tokens_details"]["cached_tokens"] > 0 for answer in answers[1:]
    )
    assert other != answers[0]["provider"]


def test_the_row_says_what_the_answer_said(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        answer = gateway.chat(user="u", session_id="s", headers={"X-Title": "my app"}).json
        data = gateway.get(f"/api/v1/generation?id={answer['id']}", key=gateway.key).json["data"]

    assert data["external_user"] == "u"
    assert data["session_id"] == "s"
    assert data["app_name"] == "my app"
    assert data["total_cost"] == answer["usage"]["cost"]
    assert data["native_tokens_prompt"] == answer["usage"]["prompt_tokens"]
    assert data["provider_responses"][0]["status"] == 200


def test_the_row_is_there_when_the_answer_is(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        for stream in (False, True):
            got = gateway.chat(user="u", stream=stream)

            assert gateway.rows()[-1].id == got.headers["x-generation-id"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "script",
    [
        error_script(503, "busy"),
        error_script(500, "boom"),
        error_script(429, "slow down"),
        error_script(401, "bad key"),
        Script(reset_after=0),
        Script(close_after=10),
        Script(raw=b"SSH-2.0-OpenSSH\r\n"),
        Script(status=200, body=b"<html>hi</html>"),
        Script(status=200, body=b'{"error": {"message": "overloaded", "code": 529}}'),
        Script(status=302, headers={"Location": "http://127.0.0.1:1/"}, body=b""),
    ],
    ids=["503", "500", "429", "401", "reset", "cut-head", "garbage", "html", "error-200", "302"],
)
def test_a_failing_endpoint_is_passed_over(tmp_path: Path, script: Script, stream: bool) -> None:
    with (
        ScriptedProvider() as one,
        ScriptedProvider() as two,
        running_gateway(tmp_path, [one, two]) as gateway,
    ):
        home = gateway.chat(user="u").json["provider"]
        sick = one if home == "Provider 0" else two
        # Twice: a kept-alive connection that dies unheard gets a silent second try.
        sick.enqueue(script, script)
        got = gateway.chat(user="u", stream=stream)
        row = gateway.rows()[-1]

    assert got.status == 200
    assert row.outcome is Outcome.COMPLETED
    assert row.provider != home
    assert [attempt.reason for attempt in row.attempts] == ["warm-session", "failover"]
    assert row.attempts[0].error is not None


@pytest.mark.parametrize("stream", [False, True])
def test_when_all_fail_the_last_error_is_told(tmp_path: Path, stream: bool) -> None:
    down = Script(status=503, body=b'{"error":{"message":"we are full","code":"overloaded"}}')
    with (
        ScriptedProvider(default=down) as one,
        ScriptedProvider(default=down) as two,
        running_gateway(tmp_path, [one, two]) as gateway,
    ):
        got = gateway.chat(user="u", stream=stream)
        (row,) = gateway.rows()

    assert got.status == 503
    assert got.headers["content-type"] == "application/json"
    assert "we are full" in got.json["error"]["message"]
    assert got.json["error"]["code"] == 503
    assert got.json["error"]["metadata"] == {
        "error_type": "provider_overloaded",
        "provider_code": "overloaded",
    }
    assert got.headers["x-generation-id"] == row.id
    assert row.outcome is Outcome.FAILED
    assert len(row.attempts) == 2
    assert row.cost is None


def test_a_refusal_of_the_request_itself_is_not_tried_elsewhere(tmp_path: Path) -> None:
    bad = error_script(400, "temperature too high")
    with (
        ScriptedProvider(default=bad) as one,
        ScriptedProvider(default=bad) as two,
        running_gateway(tmp_path, [one, two]) as gateway,
    ):
        got = gateway.chat(user="u")
        (row,) = gateway.rows()

    assert got.status == 400
    assert "temperature too high" in got.json["error"]["message"]
    assert len(row.attempts) == 1


def test_providers_that_are_down_leave_a_failed_row(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        pass
    with running_gateway(tmp_path, [provider]) as gateway:
        got = gateway.chat(user="u")
        (row,) = gateway.rows()

    assert got.status == 502
    assert "p0" in got.json["error"]["message"]
    assert (row.outcome, row.status) == (Outcome.FAILED, 502)


def test_a_failure_in_mid_stream_is_an_error_frame(tmp_path: Path) -> None:
    error = {"code": 503, "message": "lost the gpu"}
    with (
        ScriptedProvider(default=Script(error=error, error_after=2)) as one,
        ScriptedProvider() as two,
        running_gateway(tmp_path, [one]) as gateway,
    ):
        got = gateway.chat(user="u", stream=True)
        (row,) = gateway.rows()
        assert two.requests == []

    last = got.events[-1]
    assert got.status == 200
    assert last["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    assert last["error"]["code"] == 503
    assert last["error"]["metadata"]["error_type"] == "provider_overloaded"
    assert "lost the gpu" in last["error"]["message"]
    assert row.outcome is Outcome.FAILED
    assert row.usage_source is UsageSource.ESTIMATED


def test_a_stream_that_just_ends_is_an_error_unless_it_had_finished(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        provider.enqueue(Script(done=False))
        finished = gateway.chat(user="u", stream=True)
        unfinished_chunk = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "tiny",
            "choices": [{"index": 0, "delta": {"content": "half"}, "finish_reason": None}],
        }
        provider.enqueue(Script(events=[unfinished_chunk], done=False))
        cut = gateway.chat(user="u", stream=True)
        rows = gateway.rows()

    assert finished.data[-1] == "[DONE]"
    assert cut.text == "half"
    assert cut.events[-1]["error"]["code"] == 502
    assert [row.outcome for row in rows] == [Outcome.COMPLETED, Outcome.FAILED]


def test_missing_usage_is_estimated_and_marked(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        provider.enqueue(Script(usage="missing"), Script(usage="missing"))
        streamed = gateway.chat(user="u", stream=True)
        whole = gateway.chat(user="u")
        rows = gateway.rows()

    assert streamed.events[-1]["usage"]["total_tokens"] > 0
    assert whole.json["usage"]["total_tokens"] > 0
    assert {row.usage_source for row in rows} == {UsageSource.ESTIMATED}


def test_a_quiet_stream_gets_comments(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, keepalive_comment_s=0.1)
    slow = Script(head_delay_s=0.35, chunk_delay_s=0.15)
    with (
        ScriptedProvider(default=slow) as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        got = gateway.chat(user="u", stream=True)

    assert got.body.startswith(b": OPENROUTER PROCESSING\n\n")
    assert got.body.count(b": OPENROUTER PROCESSING") >= 3
    assert got.data[-1] == "[DONE]"


def test_a_failure_after_a_comment_comes_as_a_frame(tmp_path: Path) -> None:
    server = ServerSettings(drain_timeout_s=5.0, keepalive_comment_s=0.1)
    late = Script(head_delay_s=0.3, status=503, body=b'{"error":{"message":"no"}}')
    with (
        ScriptedProvider(default=late) as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        got = gateway.chat(user="u", stream=True)
        (row,) = gateway.rows()

    assert got.status == 200
    assert got.events[-1]["error"]["code"] == 503
    assert row.outcome is Outcome.FAILED


def test_an_unknown_price_is_null_never_zero(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], price=None) as gateway,
    ):
        answer = gateway.chat(user="u").json
        listed = gateway.get("/api/v1/generations").json["data"][0]

    assert answer["usage"]["cost"] is None
    assert answer["usage"]["cost_details"] is None
    assert listed["price_status"] == "unknown"


def _code(gateway: RunningGateway, body: bytes, key: str | None) -> tuple[int, str]:
    got = gateway.request("POST", "/api/v1/chat/completions", body, key=key)
    error = got.json["error"]
    assert error["code"] == got.status
    assert got.headers["x-generation-id"].startswith("gen-")
    return got.status, error["message"]


def test_bad_requests_get_precise_words_and_no_row(tmp_path: Path) -> None:
    good = {"model": MODEL, "messages": HELLO}

    def encoded(**fields: object) -> bytes:
        return json.dumps({**good, **fields}).encode()

    cases = [
        (encoded(), None, 401, "no API key"),
        (encoded(), "sk-reg-wrong", 401, "not known here"),
        (b"not json", "", 400, "not valid JSON"),
        (b"", "", 400, "body: is empty"),
        (json.dumps({"model": MODEL}).encode(), "", 400, "messages: is missing"),
        (encoded(messages=[]), "", 400, "messages: is not a list"),
        (encoded(model="no/such"), "", 400, "'no/such' is not served here"),
        (encoded(user="x" * 513), "", 400, "user: has 513 characters"),
        (encoded(user=42), "", 400, "user: is not a string"),
        (encoded(user="a\u0000b"), "", 400, "U+0000"),
        (encoded(session_id="s" * 257), "", 400, "session_id: has 257"),
        (b"x" * 20_001, "", 413, "over 20000 bytes"),
    ]
    server = ServerSettings(drain_timeout_s=5.0, body_limit_bytes=20_000)
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], server=server) as gateway,
    ):
        for body, key, status, words in cases:
            got = _code(gateway, body, gateway.key if key == "" else key)

            assert got[0] == status, got
            assert words in got[1]
        assert gateway.rows() == []
        assert provider.requests == []


def test_a_management_key_may_not_chat_and_an_inference_key_not_report(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        body = json.dumps({"model": MODEL, "messages": HELLO}).encode()
        chat = gateway.request("POST", "/v1/chat/completions", body, key=gateway.management_key)
        report = gateway.get("/api/v1/activity", key=gateway.key)

    assert chat.status == 403
    assert report.status == 403
    assert gateway.key not in chat.body.decode() + report.body.decode()


def test_a_provider_can_be_asked_for_by_name_or_slug(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as one,
        ScriptedProvider() as two,
        running_gateway(tmp_path, [one, two]) as gateway,
    ):
        gateway.chat(user="a")
        gateway.chat(user="b")
        by_slug = gateway.get("/api/v1/generations?provider=p1").json["data"]
        by_name = gateway.get("/api/v1/activity?group_by=user&provider=provider%201").json["data"]

    assert [row["provider_name"] for row in by_slug] == ["Provider 1"]
    assert [row["provider_name"] for row in by_name] == ["Provider 1"]


def test_a_request_refused_before_it_was_sent_costs_nothing(tmp_path: Path) -> None:
    body = json.dumps({"model": MODEL, "messages": HELLO, "stream": True, "stream_options": "X"})
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        got = gateway.request(
            "POST",
            "/api/v1/chat/completions",
            body.replace('"X"', '{"a": 1e999}').encode(),
            key=gateway.key,
        )
        (row,) = gateway.rows()
        assert provider.requests == []

    assert got.status == 400
    assert row.outcome is Outcome.REFUSED
    assert (row.usage, row.cost) == (None, None)
