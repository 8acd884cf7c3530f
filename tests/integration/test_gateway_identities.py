"""Who asks, as providers see it: a pseudonym in the field they have for it, and never a name."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fakes.provider import ReceivedRequest, Script, ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, RunningGateway, catalog, running_gateway
from regulars.app import ACCOUNT, SECRET_OF_PSEUDONYMS
from regulars.identity.pseudonym import pseudonym
from regulars.model.catalog import Catalog, Disclosure, Model
from regulars.stores.sqlite import open_store

USER = "Canary.User@example.com"
SESSION = "canary-session-8812"
NAMES = (USER.casefold().encode(), SESSION.encode())
CANARIES = {
    "user": USER,
    "safety_identifier": USER,
    "user_id": USER,
    "session_id": SESSION,
    "metadata": {"user_id": USER, "kind": "test"},
    "trace": {"trace_id": SESSION},
}


def serving(providers: list[ScriptedProvider], *disclosures: Disclosure) -> Catalog:
    model = catalog(providers).models[MODEL]
    endpoints = tuple(
        replace(endpoint, provider=replace(endpoint.provider, disclosure=disclosure))
        for endpoint, disclosure in zip(model.endpoints, disclosures, strict=True)
    )
    return Catalog({MODEL: Model(MODEL, "Tiny", 1, 4096, endpoints)})


def arrived(folder: Path, disclosure: Disclosure, *requests: Mapping[str, Any]) -> list[Any]:
    """Send requests; return the bodies that the provider got."""
    with ScriptedProvider() as provider:
        with running_gateway(folder, [], serving=serving([provider], disclosure)) as gateway:
            statuses = [gateway.chat(**request).status for request in requests]
        assert statuses == [200] * len(requests)
        return [request.json for request in provider.requests]


def made(folder: Path, name: str) -> Path:
    (folder / name).mkdir(exist_ok=True)
    return folder / name


def everything(request: ReceivedRequest) -> bytes:
    head = "\n".join((request.path, *(f"{k}: {v}" for k, v in request.headers.items())))
    return head.encode().lower() + request.body.lower()


@pytest.mark.parametrize("field", ["user", "safety_identifier"])
def test_the_field_carries_a_short_stable_pseudonym(tmp_path: Path, field: Any) -> None:
    disclosure = Disclosure(end_user_field=field)

    first, again, other = arrived(
        tmp_path, disclosure, {"user": USER}, {"user": USER, "stream": True}, {"user": "other"}
    )

    assert first[field] == again[field]
    assert first[field] != other[field]
    assert first[field].isalnum()
    assert len(first[field]) == 24
    assert [name for name in ("user", "safety_identifier", "metadata") if name in first] == [field]


def test_metadata_carries_it_beside_what_the_client_put_there(tmp_path: Path) -> None:
    disclosure = Disclosure(end_user_field="metadata.user_id")
    metadata = {"user_id": USER, "kind": "test"}

    stored, unstored = arrived(
        tmp_path,
        disclosure,
        {"user": USER, "metadata": metadata, "store": True},
        {"user": USER, "metadata": metadata},
    )

    told = unstored["metadata"]["user_id"]
    assert len(told) == 24
    assert stored["metadata"] == {"kind": "test", "user_id": told}
    assert unstored["metadata"] == {"user_id": told}


def test_metadata_the_client_keeps_loses_only_its_user_id(tmp_path: Path) -> None:
    metadata = {"user_id": USER, "kind": "test"}

    (body,) = arrived(
        tmp_path, Disclosure("user"), {"user": USER, "metadata": metadata, "store": True}
    )

    assert body["metadata"] == {"kind": "test"}
    assert len(body["user"]) == 24


def test_without_a_field_or_a_user_nothing_is_told(tmp_path: Path) -> None:
    (silent,) = arrived(made(tmp_path, "a"), Disclosure(), {"user": USER})
    (nobody,) = arrived(made(tmp_path, "b"), Disclosure("user", "fill"), {})

    assert sorted(silent) == ["messages", "model"]
    assert sorted(nobody) == ["messages", "model"]


def test_the_cache_key_is_filled_only_where_the_client_sent_none(tmp_path: Path) -> None:
    filled, null, own = arrived(
        tmp_path,
        Disclosure(prompt_cache_key="fill"),
        {"user": USER},
        {"user": USER, "prompt_cache_key": None},
        {"user": USER, "prompt_cache_key": "shared-prefix-7"},
    )

    assert len(filled["prompt_cache_key"]) == 24
    assert null["prompt_cache_key"] == filled["prompt_cache_key"]
    assert own["prompt_cache_key"] == "shared-prefix-7"


def test_a_cache_key_with_a_name_in_it_is_replaced_and_groups_as_before(tmp_path: Path) -> None:
    request = {"user": USER, "session_id": SESSION}

    keys = [
        body["prompt_cache_key"]
        for body in arrived(
            tmp_path,
            Disclosure(),
            {**request, "prompt_cache_key": f"chat:{USER.lower()}"},
            {**request, "prompt_cache_key": f"chat:{USER.lower()}"},
            {**request, "prompt_cache_key": SESSION},
        )
    ]

    assert keys[0] == keys[1] != keys[2]
    assert [len(key) for key in keys] == [24, 24, 24]


def test_a_cache_key_that_is_not_wanted_is_dropped(tmp_path: Path) -> None:
    (body,) = arrived(tmp_path, Disclosure(prompt_cache_key="drop"), {"prompt_cache_key": "k"})

    assert "prompt_cache_key" not in body


@pytest.mark.parametrize("field", ["none", "user", "safety_identifier", "metadata.user_id"])
@pytest.mark.parametrize("rule", ["pass", "fill", "drop"])
def test_no_name_reaches_a_provider_in_any_byte(tmp_path: Path, field: Any, rule: Any) -> None:
    broken, good = Script(status=503, body=b"{}"), Script()
    with ScriptedProvider(default=broken) as first, ScriptedProvider(default=good) as second:
        disclosure = Disclosure(field, rule)
        both = serving([first, second], disclosure, disclosure)
        with running_gateway(tmp_path, [], serving=both) as gateway:
            statuses = [ask(gateway, stream=stream, store=s) for stream, s in CASES]
            by_header = gateway.chat(user=USER, headers={"x-session-id": SESSION}).status
        received = [everything(request) for request in (*first.requests, *second.requests)]

    assert [*statuses, by_header] == [200] * (len(CASES) + 1)
    assert len(received) > len(CASES)
    assert [name for name in NAMES if any(name in got for got in received)] == []


CASES = [(False, False), (True, False), (False, True), (True, True)]


def ask(gateway: RunningGateway, *, stream: bool, store: bool) -> int:
    fields = {**CANARIES, "prompt_cache_key": f"{USER}/{SESSION}", "stream": stream}
    if store:
        fields["store"] = True
    # The very same names, spelled so that no search for bytes finds them.
    written = json.dumps({"model": MODEL, "messages": HELLO, **fields}).replace(
        '"user_id"', '"\\u0075ser_id"'
    )
    answer = gateway.request("POST", "/api/v1/chat/completions", written.encode(), key=gateway.key)
    return answer.status


def test_the_key_of_pseudonyms_is_each_stores_own_and_stays(tmp_path: Path) -> None:
    disclosure = Disclosure(end_user_field="user")

    (one,) = arrived(made(tmp_path, "one"), disclosure, {"user": USER})
    (other,) = arrived(made(tmp_path, "other"), disclosure, {"user": USER})
    store = open_store(f"sqlite:///{tmp_path}/one/regulars.db")
    later = pseudonym(store.secret(SECRET_OF_PSEUDONYMS), ACCOUNT, USER)
    store.close()

    assert one["user"] == later
    assert other["user"] != later


@pytest.mark.parametrize(
    "fields", [{"metadata": "text", "store": True}, {"prompt_cache_key": 5, "session_id": "s"}]
)
def test_a_field_of_the_wrong_type_is_a_400_and_reaches_nobody(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    with ScriptedProvider() as provider:
        with running_gateway(tmp_path, [provider]) as gateway:
            answer = gateway.chat(**fields)
            loads = gateway.request(
                "POST",
                "/api/v1/routing/explain",
                json.dumps({"model": MODEL, "messages": HELLO}).encode(),
                key=gateway.management_key,
            ).json["data"]
        received = len(provider.requests)

    assert answer.status == 400
    assert next(iter(fields)) in answer.json["error"]["message"]
    assert received == 0
    assert loads["stages"][0]["endpoints"][0]["load"] == 0
