"""Every decision explains itself: in the answer, beforehand, and on the generation's page."""

import json
from pathlib import Path
from typing import Any

import pytest

from fakes.provider import Script, error_script
from fakes.routed_gateway import OTHER_MODEL, Offer, routed_gateway
from fakes.running_gateway import HELLO, MODEL
from regulars.config.settings import RoutingSettings
from regulars.model.catalog import Traits

DOWN = error_script(503, "busy")
ENABLED = {"X-OpenRouter-Metadata": "Enabled"}
USERS = [f"user {number}" for number in range(40)]


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_tells_how_it_was_routed(tmp_path: Path, stream: bool) -> None:
    with routed_gateway(tmp_path, Offer(DOWN), Offer(), Offer(DOWN)) as routed:
        got = routed.chat(
            user="u", stream=stream, provider={"order": ["p0", "p1"]}, headers=ENABLED
        )

    told = (got.events[-1] if stream else got.json)["openrouter_metadata"]
    assert told["requested"] == MODEL
    assert (told["strategy"], told["region"], told["is_byok"]) == ("direct", None, False)
    assert told["attempt"] == 2
    assert told["endpoints"]["total"] == 3
    assert [one["selected"] for one in told["endpoints"]["available"]] == [False, True, False]
    assert [(one["provider"], one["status"], one["reason"]) for one in told["attempts"]] == [
        ("Provider 0", 503, "order"),
        ("Provider 1", 200, "failover"),
    ]
    if stream:
        assert not any("openrouter_metadata" in event for event in got.events[:-1])


@pytest.mark.parametrize("headers", [{}, {"X-OpenRouter-Metadata": "yes"}], ids=["none", "other"])
def test_nobody_is_told_unasked(tmp_path: Path, headers: dict[str, str]) -> None:
    with routed_gateway(tmp_path, Offer(), Offer(DOWN)) as routed:
        whole = routed.chat(headers=headers)
        failed = routed.chat(headers=headers, provider={"only": ["p1"]})

    assert "openrouter_metadata" not in whole.json
    assert "openrouter_metadata" not in failed.json


def test_errors_tell_it_too(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(DOWN)) as routed:
        failed = routed.chat(headers=ENABLED).json
        refused = routed.chat(headers=ENABLED, provider={"zdr": True}).json

    assert failed["error"]["code"] == 503
    assert failed["openrouter_metadata"]["attempts"][0]["error"] == "provider_overloaded"
    assert [one["selected"] for one in failed["openrouter_metadata"]["endpoints"]["available"]] == [
        False
    ]
    assert refused["error"]["code"] == 404
    assert refused["openrouter_metadata"]["attempt"] == 0
    assert refused["openrouter_metadata"]["endpoints"] == {"total": 1, "available": []}


def test_a_stream_that_breaks_tells_it_in_its_last_chunk(tmp_path: Path) -> None:
    breaks = Script(error={"message": "overloaded", "code": 529}, error_after=2)
    with routed_gateway(tmp_path, Offer(breaks)) as routed:
        got = routed.chat(headers=ENABLED, stream=True)

    assert "error" in got.events[-1]
    assert got.events[-1]["openrouter_metadata"]["attempt"] == 1


def test_a_fallback_model_is_named(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(DOWN), Offer(model=OTHER_MODEL)) as routed:
        told = routed.chat(models=[OTHER_MODEL], headers=ENABLED).json["openrouter_metadata"]

    assert (told["requested"], told["strategy"]) == (MODEL, "fallback")
    assert [one["model"] for one in told["attempts"]] == [MODEL, OTHER_MODEL]


def test_explain_says_what_then_happens_and_changes_nothing(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer(), Offer(traits=Traits(zdr=True))) as routed:
        before = [routed.explain(user=user).json["data"] for user in USERS]
        again = [routed.explain(user=user).json["data"] for user in USERS]
        sent = [routed.chat(user=user) and routed.attempts()[0] for user in USERS[:1]]
        after = routed.explain(user=USERS[0]).json["data"]
        received = sum(routed.received())

    assert [one["endpoint"] for one in before] == [one["endpoint"] for one in again]
    assert {one["reason"] for one in before} == {"cold"}
    assert sent == [(before[0]["endpoint"].partition("/")[0], "cold")]
    assert (after["endpoint"], after["reason"]) == (before[0]["endpoint"], "warm-session")
    assert after["user"] == USERS[0]
    assert received == 1


def test_explain_shows_stages_loads_and_refusals(tmp_path: Path) -> None:
    with routed_gateway(
        tmp_path,
        Offer(),
        Offer(DOWN),
        Offer(traits=Traits(keeps_data=True)),
        Offer(model=OTHER_MODEL),
    ) as routed:
        for _ in range(3):
            routed.chat(user="u", provider={"order": ["p1"]})
        told = routed.explain(
            user="u", models=[MODEL, OTHER_MODEL], provider={"ignore": ["p2"]}
        ).json["data"]

    first, second = told["stages"]
    assert (told["endpoint"], told["attempts_max"]) == (f"p0/{MODEL}", 4)
    assert told["refusals"] == [{"endpoint": f"p2/{MODEL}", "reason": "in provider.ignore"}]
    assert [one["id"] for one in first["endpoints"]] == [f"p0/{MODEL}", f"p1/{MODEL}"]
    assert first["endpoints"][0]["refusal"] is None
    assert first["endpoints"][1]["refusal"].startswith("failed repeatedly; tried again in")
    assert first["endpoints"][0]["load"] > 0
    assert first["endpoints"][0]["fair_share"] > 0
    assert first["session"]["endpoint"] == f"p0/{MODEL}"
    assert (second["model"], second["reason"]) == (OTHER_MODEL, "only-one")


def test_explain_needs_a_management_key_and_a_good_request(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer()) as routed:
        gateway = routed.gateway
        body = json.dumps({"model": MODEL, "messages": HELLO}).encode()
        path = "/api/v1/routing/explain"
        statuses: list[Any] = [
            gateway.request("POST", path, body).status,
            gateway.request("POST", path, body, key=gateway.key).status,
            gateway.request("POST", path, b"{", key=gateway.management_key).status,
            routed.explain(model="test/missing").status,
            gateway.get(path).status,
        ]
        unserved = routed.explain(provider={"zdr": True})
        rows = gateway.rows()

    assert statuses == [401, 403, 400, 400, 405]
    assert unserved.status == 404
    assert "has no zero data retention" in unserved.json["error"]["message"]
    assert rows == []


def test_a_share_of_users_is_held_out(tmp_path: Path) -> None:
    with routed_gateway(
        tmp_path, Offer(), Offer(), routing=RoutingSettings(holdout_share=0.5)
    ) as routed:
        for user in USERS:
            routed.chat(user=user)
            routed.chat(user=user)
        routed.chat()
        rows = routed.gateway.rows()

    reasons = {user: [r.attempts[0].reason for r in rows if r.end_user == user] for user in USERS}
    held_out = [user for user in USERS if reasons[user] == ["holdout", "holdout"]]
    sticky = [user for user in USERS if reasons[user] == ["cold", "warm-session"]]
    assert len(held_out) + len(sticky) == len(USERS)
    assert 10 <= len(held_out) <= 30
    assert rows[-1].attempts[0].reason != "holdout"
