"""The OpenAPI document against the running gateway: every route is in it, every answer fits."""

import json
import re
from collections.abc import Generator
from time import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fakes.provider import ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, Answer, RunningGateway, running_gateway
from fakes.sample_ledger import sample_keys, sample_rows
from regulars.http.explain import EXPLAIN_PATH
from regulars.http.routes import (
    BASES,
    CHAT_PATH,
    OPEN,
    OTHERS_WITH_KEY,
    WITH_KEY,
)
from regulars.stores.sqlite import open_store

SAMPLE = sample_rows(time(), days=20, count=120)
ALWAYS = "from=1970-01-01&to=9998-12-31"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningGateway]:
    folder = tmp_path_factory.mktemp("openapi")
    with ScriptedProvider() as one, running_gateway(folder, [one]) as gateway:
        store = open_store(gateway.settings.store.url)
        for key in sample_keys():
            store.create_key(key)
        store.append(SAMPLE)
        store.close()
        gateway.chat(user="live")
        yield gateway


@pytest.fixture(scope="module")
def document(site: RunningGateway) -> dict[str, Any]:
    got = site.request("GET", "/api/v1/openapi.json")
    assert got.status == 200
    return got.json


def problems(document: dict[str, Any], path: str, method: str, got: Answer) -> list[str]:
    """What the document says against an answer."""
    answers = document["paths"][path][method]["responses"]
    answer = answers["200" if got.status == 200 else "default"]
    # References inside the schema start at the document's root.
    schema = answer["content"]["application/json"]["schema"] | {
        "components": document["components"]
    }
    found = Draft202012Validator(schema).iter_errors(json.loads(got.body))
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


def test_every_route_is_described_and_no_other(document: dict[str, Any]) -> None:
    others = {path for paths in OTHERS_WITH_KEY.values() for path in paths}
    served = {*WITH_KEY, *others, *OPEN, CHAT_PATH, EXPLAIN_PATH}

    assert set(document["paths"]) == {re.sub(r":path}", "}", path) for path in served}
    assert {server["url"] for server in document["servers"]} == set(BASES)


def test_the_document_is_one_of_openapis(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object", name
    names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document))) == names


GETS = [
    ("/generations", f"/generations?{ALWAYS}&limit=100"),
    ("/activity", f"/activity?{ALWAYS}"),
    ("/activity", f"/activity?{ALWAYS}&group_by=user,key,session"),
    ("/activity", f"/activity?{ALWAYS}&group_by=outcome,streamed,workspace"),
    ("/activity", f"/activity?{ALWAYS}&group_by=app,finish_reason,routing_reason"),
    ("/analytics/meta", "/analytics/meta"),
    ("/external-users", "/external-users"),
    ("/external-users/{user}", "/external-users/hedy"),
    ("/identifiers", "/identifiers"),
    ("/users", f"/users?{ALWAYS}"),
    ("/users", f"/users?{ALWAYS}&sort=ttft_p90"),
    ("/users/{user}", f"/users/hedy?{ALWAYS}"),
    ("/users/{user}", f"/users/live?{ALWAYS}"),
    ("/keys", "/keys?include_disabled=true"),
    ("/keys/{hash}", f"/keys/{sample_keys()[1].hash}"),
    ("/key", "/key"),
    ("/auth/key", "/auth/key"),
    ("/models", "/models"),
    ("/models/{model}/endpoints", f"/models/{MODEL}/endpoints"),
    ("/openapi.json", "/openapi.json"),
]


@pytest.mark.parametrize(("path", "asked"), GETS, ids=[asked for _, asked in GETS])
def test_answers_are_as_described(
    site: RunningGateway, document: dict[str, Any], path: str, asked: str
) -> None:
    got = site.get(f"/api/v1{asked}")

    assert got.status == 200
    assert problems(document, path, "get", got) == []


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_as_described(site: RunningGateway, document: dict[str, Any], path: str) -> None:
    assert problems(document, path, "get", site.get(path)) == []


def test_a_generation_and_a_chat_are_as_described(
    site: RunningGateway, document: dict[str, Any]
) -> None:
    chat = site.chat(user="live")
    looked_up = site.get(f"/api/v1/generation?id={chat.json['id']}")
    body = {"model": MODEL, "messages": HELLO, "user": "live"}
    explained = site.request(
        "POST",
        "/api/v1/routing/explain",
        json.dumps(body).encode(),
        key=site.management_key,
    )

    assert chat.status == looked_up.status == explained.status == 200
    assert problems(document, "/chat/completions", "post", chat) == []
    assert problems(document, "/generation", "get", looked_up) == []
    assert problems(document, "/routing/explain", "post", explained) == []


def test_an_erasures_receipt_is_as_described(
    site: RunningGateway, document: dict[str, Any]
) -> None:
    site.chat(user="leaving")

    got = site.request("DELETE", "/api/v1/users/leaving", key=site.management_key)

    assert got.status == 200
    assert problems(document, "/users/{user}", "delete", got) == []


def test_keys_and_what_changes_them_are_as_described(
    site: RunningGateway, document: dict[str, Any]
) -> None:
    def send(method: str, path: str, body: bytes | None = None) -> Answer:
        return site.request(method, f"/api/v1{path}", body, key=site.management_key)

    made = send("POST", "/keys", b'{"name": "described", "limit": 0.25}')
    one = f"/keys/{made.json['data']['hash']}"
    changed = send("PATCH", one, b'{"name": "again", "limit_reset": "weekly"}')
    deleted = send("DELETE", one)

    answer = document["paths"]["/keys"]["post"]["responses"]["201"]
    schema = answer["content"]["application/json"]["schema"]
    schema |= {"components": document["components"]}
    assert list(Draft202012Validator(schema).iter_errors(made.json)) == []
    assert changed.status == deleted.status == 200
    assert problems(document, "/keys/{hash}", "patch", changed) == []
    assert problems(document, "/keys/{hash}", "delete", deleted) == []


def test_a_query_and_its_answer_are_as_described(
    site: RunningGateway, document: dict[str, Any]
) -> None:
    body: dict[str, Any] = {
        "metrics": ["total_usage", "p90_latency"],
        "dimensions": ["external_user"],
        "granularity": "week",
        "filters": [{"field": "model", "operator": "neq", "value": "x"}],
    }
    operation = document["paths"]["/analytics/query"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]

    got = site.request(
        "POST", "/api/v1/analytics/query", json.dumps(body).encode(), key=site.management_key
    )

    assert list(Draft202012Validator(schema).iter_errors(body)) == []
    assert got.status == 200
    assert problems(document, "/analytics/query", "post", got) == []


def test_described_parameters_are_those_that_are_read(
    site: RunningGateway, document: dict[str, Any]
) -> None:
    for path, operations in document["paths"].items():
        described = operations.get("get")
        if described is None or described.get("security") == [] or path.endswith("key"):
            continue
        got = site.get(f"/api/v1{path.replace('{user}', 'hedy')}?nobody_reads_this=1")
        known = got.json["error"]["message"].partition("known: ")[2].split(", ")
        names = [each["name"] for each in described["parameters"] if each["in"] == "query"]
        assert names == [name for name in known if name], path


def test_refusals_are_as_described(site: RunningGateway, document: dict[str, Any]) -> None:
    refused = [
        ("/generation", site.get("/api/v1/generation?id=none")),
        ("/users", site.get("/api/v1/users?sort=none")),
        ("/activity", site.get("/api/v1/activity", key=site.key)),
        ("/users/{user}", site.request("GET", "/api/v1/users/hedy")),
    ]

    for path, got in refused:
        assert got.status in (400, 401, 403, 404)
        assert problems(document, path, "get", got) == []
