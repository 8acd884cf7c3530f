"""`/routing/report` and `/routing/endpoints`: what an operator asks about routing."""

from pathlib import Path
from typing import Any

import pytest

from fakes.provider import Script
from fakes.routed_gateway import OTHER_MODEL, Offer, RoutedGateway, routed_gateway
from fakes.running_gateway import HELLO, MODEL
from regulars.config.settings import RoutingSettings

DOWN = Script(status=500, body=b"{}")
REPORT = "/api/v1/routing/report"
ENDPOINTS = "/api/v1/routing/endpoints"
USERS = 24
TURNS = 4


def converse(routed: RoutedGateway) -> None:
    for _ in range(TURNS):
        for user in range(USERS):
            system = {"role": "system", "content": f"You serve {user}. " * 200}
            routed.chat(user=f"user {user}", messages=[system, *HELLO])


def endpoints(routed: RoutedGateway) -> dict[str, dict[str, Any]]:
    models = routed.gateway.get(ENDPOINTS).json["data"]
    return {one["id"]: one for model in models for one in model["endpoints"]}


def test_sticky_users_are_compared_with_the_holdout(tmp_path: Path) -> None:
    routing = RoutingSettings(holdout_share=0.5)
    with routed_gateway(tmp_path, Offer(), Offer(), Offer(), routing=routing) as routed:
        converse(routed)
        found = routed.gateway.get(REPORT).json["data"]
        earlier = routed.gateway.get(f"{REPORT}?to=2020-01-01").json["data"]

    gain = found["cached_share_gain"]
    assert found["complete"] is True
    assert found["sticky"]["users"] + found["holdout"]["users"] == USERS
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert gain["value"] > 0
    assert found["usd_saved_per_1k_prompt_tokens"]["value"] > 0
    assert earlier["sticky"]["requests"] == 0
    assert earlier["cached_share_gain"] is None


def test_endpoints_show_health_load_and_who_is_at_home(tmp_path: Path) -> None:
    offers = (Offer(), Offer(DOWN), Offer(model=OTHER_MODEL))
    with routed_gateway(tmp_path, *offers) as routed:
        for number in range(3):
            routed.chat(user=f"u{number}", provider={"order": ["p1"]})
        told = endpoints(routed)
        answer = routed.gateway.get(ENDPOINTS).json

    well, broken, unused = (told[f"p{n}/{m}"] for n, m in enumerate((MODEL, MODEL, OTHER_MODEL)))
    assert answer["models_in_all"] == 2
    assert [model["model"] for model in answer["data"]] == [MODEL, OTHER_MODEL]
    assert well["refusal"] is None
    assert well["load"] > 0
    assert well["fair_share"] > 0
    assert well["keys_held"] == 6  # three users, and a session each
    assert broken["refusal"].startswith("failed repeatedly")
    assert broken["keys_held"] == 0
    assert (unused["load"], unused["keys_held"], unused["ttft_s"]) == (0, 0, None)


@pytest.mark.parametrize("path", [REPORT, ENDPOINTS])
def test_they_need_a_management_key_and_known_parameters(tmp_path: Path, path: str) -> None:
    with routed_gateway(tmp_path, Offer()) as routed:
        gateway = routed.gateway
        statuses = [
            gateway.request("GET", path).status,
            gateway.request("GET", path, key=gateway.key).status,
            gateway.get(f"{path}?since=7d").status,
            gateway.get(path.removeprefix("/api")).status,
        ]

    assert statuses == [401, 403, 400, 200]
