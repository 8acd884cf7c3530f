"""Bodies that are broken, deep, huge or sly: refused in words, never a mistake of ours."""

import gzip
import json
from collections.abc import Generator

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.raw_client import CHAT, RawClient, chat_request, request_of
from fakes.running_gateway import HELLO, MODEL, RunningGateway
from fakes.strict_gateway import auth, check_in_step, strict_gateway


@pytest.fixture(scope="module")
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    provider: ScriptedProvider, tmp_path_factory: pytest.TempPathFactory
) -> Generator[RunningGateway]:
    with strict_gateway(tmp_path_factory.mktemp("manners"), provider) as running:
        yield running


@pytest.mark.parametrize(
    "value",
    [
        '"a\\r\\nX-Evil: 1"',
        '"a\\nb"',
        '"a\\u0000b"',
        '"a\\u2028b"',
        '"\\u0085"',
        '"a\\u001b[31mb"',
    ],
)
@pytest.mark.parametrize("field", ["user", "session_id", "model"])
def test_line_ends_in_a_name_never_reach_a_header(
    gateway: RunningGateway, provider: ScriptedProvider, field: str, value: str
) -> None:
    asked_before = len(provider.requests)
    fields = {"model": f'"{MODEL}"', "messages": json.dumps(HELLO), field: value}
    body = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body.encode()))
        answer = client.read_answer()
        check_in_step(gateway, client, "after-injection")

    assert answer is not None
    assert answer.status == 400
    assert field in answer.json["error"]["message"]
    assert "x-evil" not in answer.headers
    assert len(provider.requests) == asked_before + 1


def test_odd_labels_are_kept_printable_and_go_nowhere_else(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    title = "app \u0085\u202eevil \u00e9"

    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, f"X-Title: {title}", "User-Agent: x\ty", user="label"))
        answer = client.read_answer()

    assert answer is not None
    row = gateway.rows()[-1]
    assert (row.id, row.app) == (answer.headers["x-generation-id"], "app ��evil é")
    assert "evil" not in str(provider.requests[-1].headers)
    assert "evil" not in str(answer.headers)


def test_a_byte_order_mark_before_the_json_is_passed_over(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    body = json.dumps({"model": MODEL, "messages": HELLO, "seed": 7}).encode("utf-8-sig")

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body))
        answer = client.read_answer()

    assert answer is not None
    assert answer.status == 200
    assert provider.requests[-1].json["seed"] == 7


@pytest.mark.parametrize("coding", ["", "none", "UTF-8"])
def test_a_content_encoding_that_is_none_is_read(gateway: RunningGateway, coding: str) -> None:
    with RawClient(gateway.port) as client:
        client.send(chat_request(gateway, f"Content-Encoding: {coding}", user="uncoded"))
        answer = client.read_answer()

    assert answer is not None
    assert answer.status == 200


NEST = b"[" * 5_000 + b"]" * 5_000
BAD_BODIES = {
    "invalid-utf-8": (b'{"model": "\xff\xfe", "messages": []}', "not UTF-8"),
    "utf-8-cut-short": (b'{"model": "\xe2\x82', "not UTF-8"),
    "utf-16": (json.dumps({"model": MODEL}).encode("utf-16"), "not UTF-8"),
    "utf-16-unmarked": (json.dumps({"model": MODEL}).encode("utf-16-le"), "in UTF-16"),
    "gzip-unsaid": (gzip.compress(b'{"model": "m"}'), "is compressed"),
    "only-a-mark": (b"\xef\xbb\xbf{", "not valid JSON"),
    "marks-without-end": (b"\xef\xbb\xbf" * 100_000, "not valid JSON"),
    "encoded-surrogate": (b'{"user": "\xed\xa0\x80"}', "not UTF-8"),
    "arrays-without-end": (b'{"a":' + b"[" * 100_000, "nested too deeply"),
    "objects-without-end": (b'{"a":' * 50_000, "nested too deeply"),
    "deep-in-messages": (b'{"model":"m","messages":[{"content":' + NEST + b"}]}", "too deeply"),
    "number-as-name": (b'{"model":"m","messages":[{}],"user":1e400}', "user: is not a string"),
    "half": (b'{"model": "m', "not valid JSON"),
    "nan": (b'{"model": NaN}', "not valid JSON"),
    "two-values": (b"{}{}", "not valid JSON"),
}


@pytest.mark.parametrize(("body", "words"), BAD_BODIES.values(), ids=list(BAD_BODIES))
def test_a_bad_body_is_refused_in_words(gateway: RunningGateway, body: bytes, words: str) -> None:
    rows_before = len(gateway.rows())

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body))
        answer = client.read_answer()
        check_in_step(gateway, client, "after-bad-body")

    assert answer is not None
    assert answer.status == 400
    assert words in answer.json["error"]["message"]
    assert len(gateway.rows()) == rows_before + 1


@pytest.mark.parametrize(
    "field",
    [
        "messages",
        "metadata",
        "models",
        "plugins",
        "prompt_cache_key",
        "provider",
        "reasoning",
        "response_format",
        "stream_options",
        "tools",
        "user",
    ],
)
def test_no_depth_of_nesting_is_a_mistake_of_ours(
    gateway: RunningGateway, provider: ScriptedProvider, field: str
) -> None:
    usual = provider.default
    provider.default = Script(body=b'{"id": "x", "choices": []}')
    statuses: set[int] = set()

    try:
        with RawClient(gateway.port) as client:
            for depth in (100, 500, *range(900, 1030)):
                client.send(nested_request(gateway, field, "[" * depth + "]" * depth))
                answer = client.read_answer()
                assert answer is not None
                statuses.add(answer.status)
    finally:
        provider.default = usual

    # As a stream the answer above is none.
    assert statuses <= ({400, 502} if field == "stream_options" else {200, 400})
    assert 400 in statuses


def nested_request(gateway: RunningGateway, field: str, nest: str) -> bytes:
    fields = {"model": f'"{MODEL}"', "messages": json.dumps(HELLO), field: nest}
    if field == "messages":
        fields["messages"] = '[{"role":"user","content":' + nest + "}]"
    if field == "stream_options":
        fields["stream"] = "true"
    body = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"
    return request_of("POST", CHAT, auth(gateway), body=body.encode())


def test_numbers_go_upstream_as_they_were_written(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    numbers = b'"temperature":1e400,"seed":' + b"9" * 4000 + b',"top_p":0.1000000000000000055'
    body = b'{"model":"%b","messages":%b,%b}' % (
        MODEL.encode(),
        json.dumps(HELLO).encode(),
        numbers,
    )

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body))
        answer = client.read_answer()

    assert answer is not None
    assert answer.status == 200
    assert numbers in provider.requests[-1].body


def test_of_a_key_that_comes_twice_the_last_one_counts_everywhere(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    body = (
        '{"model":"no/such","user":"first","temperature":0.1,"messages":[],'
        f'"model":"{MODEL}","user":"last","temperature":0.9,"messages":{json.dumps(HELLO)}}}'
    )

    with RawClient(gateway.port) as client:
        client.send(request_of("POST", CHAT, auth(gateway), body=body.encode()))
        answer = client.read_answer()

    assert answer is not None
    assert answer.status == 200
    assert gateway.rows()[-1].end_user == "last"
    sent = provider.requests[-1].body
    assert [sent.count(name) for name in (b'"model"', b'"messages"', b'"temperature"')] == [1, 1, 1]
    assert provider.requests[-1].json["temperature"] == 0.9
    assert b"user" not in sent.replace(b'"role": "user"', b"")
