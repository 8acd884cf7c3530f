"""The JSON API's other answers: the key, the models, health, and what is not there."""

import json
from collections.abc import Generator
from decimal import Decimal
from pathlib import Path

import pytest

from fakes.api_site import (
    api_site,
    fresh_gateway,
    walk,
)
from fakes.running_gateway import MODEL, RunningGateway
from fakes.utc_day import today


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningGateway]:
    with api_site(tmp_path_factory.mktemp("api")) as running:
        yield running


def test_a_key_tells_what_it_spent(tmp_path: Path) -> None:
    with fresh_gateway(tmp_path) as gateway:
        today()
        gateway.chat(user="u")
        gateway.chat(user="u", stream=True)
        spent = sum(each["total_cost"] for each in walk(gateway))
        got = gateway.get("/api/v1/key", key=gateway.key)
        idle = gateway.get("/api/v1/auth/key").json["data"]

    data = json.loads(got.body, parse_float=Decimal)["data"]
    assert [data[f"usage{window}"] for window in ("", "_daily", "_weekly", "_monthly")] == [
        spent
    ] * 4
    assert spent > 0
    assert gateway.key not in got.body.decode()
    assert (data["is_management_key"], idle["is_management_key"]) == (False, True)
    assert idle["usage"] == 0


def test_models_are_open_to_all(site: RunningGateway) -> None:
    models = site.request("GET", "/api/v1/models").json
    (model,) = models["data"]
    endpoints = site.request("GET", f"/v1/models/{MODEL}/endpoints").json["data"]
    unknown = site.request("GET", "/api/v1/models/no/such/endpoints")

    assert (models["total_count"], model["id"]) == (1, MODEL)
    assert model["pricing"] == {
        "prompt": "0.0000006",
        "completion": "0.0000008",
        "request": "0",
        "input_cache_read": "0.00000006",
    }
    assert [each["tag"] for each in endpoints["endpoints"]] == ["p0", "p1"]
    assert unknown.status == 404
    assert "'no/such' is not served here" in unknown.json["error"]["message"]


def test_health_needs_no_key(site: RunningGateway) -> None:
    assert site.request("GET", "/healthz").json == {"status": "ok"}
    assert site.request("GET", "/readyz").json == {"status": "ready"}


@pytest.mark.parametrize("path", ["/api/v1/no/such", "/api/v2/models", "/v1", "/api/v1/%00%ff"])
def test_an_unknown_path_is_an_error_object(site: RunningGateway, path: str) -> None:
    got = site.get(path)

    assert got.status == 404
    assert got.headers["content-type"] == "application/json"
    assert got.json["error"]["code"] == 404
    assert got.json["error"]["metadata"] == {"error_type": "not_found"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/v1/models", "GET"),
        ("POST", "/api/v1/activity", "GET"),
        ("PUT", "/healthz", "GET"),
        ("GET", "/api/v1/chat/completions", "POST"),
        ("DELETE", "/v1/chat/completions", "POST"),
    ],
)
def test_a_wrong_method_names_the_right_one(
    site: RunningGateway, method: str, path: str, allowed: str
) -> None:
    got = site.request(method, path, b"{}", key=site.key)

    assert (got.status, got.json["error"]["code"]) == (405, 405)
    assert allowed in got.headers["allow"]
    assert method in got.json["error"]["message"]
