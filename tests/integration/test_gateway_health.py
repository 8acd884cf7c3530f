"""Endpoints that are limited, down, or crowded at once: what the gateway then does."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fakes.provider import Script, error_script
from fakes.routed_gateway import Offer, RoutedGateway, routed_gateway
from regulars.config.settings import UpstreamSettings
from regulars.model.generation import Outcome
from regulars.routing import health

DOWN = error_script(503, "busy")
LIMITED = error_script(429, "slow down", headers={"Retry-After": "30"})
BURST = 50
PAUSE = threading.Event()
"""Nobody sets it: a wait on it is a pause."""


def test_a_limited_endpoint_rests_as_long_as_it_said(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer(), Offer()) as routed:
        home = int(routed.chat(user="u").json["provider"][-1])
        routed.providers[home].enqueue(LIMITED)
        passed_over = routed.chat(user="u")
        received = routed.received()[home]
        later = [routed.chat(user=user).status for user in ("u", "v", "w")]
        later_received = routed.received()[home]

    assert passed_over.status == 200
    assert later == [200, 200, 200]
    assert later_received == received


def test_when_all_rest_the_client_is_told_how_long(tmp_path: Path) -> None:
    longer = error_script(429, "slow down", headers={"Retry-After": "90"})
    with routed_gateway(tmp_path, Offer(LIMITED), Offer(longer)) as routed:
        first = routed.chat(user="u")
        second = routed.chat(user="u")
        row = routed.gateway.rows()[-1]
        received = routed.received()

    assert first.status == 429
    assert second.status == 429
    assert second.json["error"]["metadata"]["error_type"] == "rate_limit_exceeded"
    assert 25 <= int(second.headers["retry-after"]) <= 30
    assert (row.outcome, row.status, row.attempts) == (Outcome.REFUSED, 429, ())
    assert received == [1, 1]


def test_an_endpoint_that_keeps_failing_costs_nobody_an_attempt_any_more(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(DOWN), Offer()) as routed:
        for _ in range(6):
            routed.chat(user="u", provider={"order": ["p0"]})
        received = routed.received()[0]
        got = [routed.chat(user=user) for user in "abcdef"]
        later_received = routed.received()[0]

    assert received == health.FAILURES_TO_OPEN
    assert [answer.status for answer in got] == [200] * 6
    assert later_received == received


def test_after_a_pause_one_request_probes_and_success_closes_the_circuit(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer()) as routed:
        first = routed.providers[0]
        first.enqueue(DOWN, DOWN, DOWN)
        for _ in range(4):
            routed.chat(user="u", provider={"order": ["p0"]})
        while_open = routed.attempts()
        PAUSE.wait(health.OPEN_S)
        statuses = [routed.chat(user="u", provider={"order": ["p0"]}).status for _ in range(3)]
        received = len(first.requests)

    assert while_open == [("p1", "order")]
    assert statuses == [200, 200, 200]
    assert received == 3 + 3


def test_with_nobody_else_left_an_open_circuit_is_tried_after_all(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer()) as routed:
        routed.providers[0].enqueue(DOWN, DOWN, DOWN)
        for _ in range(3):
            routed.chat(user="u", provider={"order": ["p0"]})
        only = routed.chat(user="u", provider={"only": ["p0"]})
        routed.chat(user="u", provider={"order": ["p0"]})
        closed_again = routed.attempts()

    assert only.json["provider"] == "Provider 0"
    assert closed_again == [("p0", "order")]


def test_quota_gone_in_mid_conversation_moves_the_user_and_keeps_him_there(
    tmp_path: Path,
) -> None:
    with routed_gateway(tmp_path, Offer(), Offer(), Offer()) as routed:
        home = int(routed.chat(user="u").json["provider"][-1])
        routed.providers[home].default = error_script(402, "no credits left")
        moved = [routed.chat(user="u").json["provider"] for _ in range(4)]
        attempts = [[a.reason for a in row.attempts] for row in routed.gateway.rows()[1:]]

    assert len(set(moved)) == 1
    assert moved[0] != f"Provider {home}"
    assert attempts == [["warm-session", "failover"], *[["warm-session"]] * 3]


@pytest.mark.parametrize(
    "script",
    [
        Script(close_after=1200, chunks=8),
        Script(error={"message": "overloaded", "code": 529}, error_after=2),
    ],
    ids=["cut", "error"],
)
def test_no_second_endpoint_after_content(tmp_path: Path, script: Script) -> None:
    with routed_gateway(tmp_path, Offer(script), Offer(script)) as routed:
        got = routed.chat(user="u", stream=True)
        tried = routed.tried()
        received = routed.received()

    assert got.status == 200
    assert "error" in got.events[-1]
    assert len(tried) == 1
    assert sum(received) == 1


def test_attempts_are_bounded(tmp_path: Path) -> None:
    down = [Offer(DOWN) for _ in range(6)]
    with routed_gateway(tmp_path, *down, upstream=UpstreamSettings(attempts_max=3)) as routed:
        got = routed.chat(user="u")
        tried = routed.tried()

    assert got.status == 503
    assert len(set(tried)) == 3


def test_a_burst_of_first_requests_lands_on_one_endpoint(tmp_path: Path) -> None:
    slow = Offer(Script(head_delay_s=0.3))
    with routed_gateway(tmp_path, slow, slow, slow, slow) as routed:
        providers = _burst(routed, user="new")
        reasons = {row.attempts[0].reason for row in routed.gateway.rows()}

    assert len(providers) == BURST
    assert len(set(providers)) == 1
    assert reasons == {"cold", "burst"}


def _burst(routed: RoutedGateway, *, user: str) -> list[str]:
    with ThreadPoolExecutor(BURST) as pool:
        asked = [
            pool.submit(routed.chat, user=user, session_id=f"{user}-{number}")
            for number in range(BURST)
        ]
        return [one.result().json["provider"] for one in asked]
