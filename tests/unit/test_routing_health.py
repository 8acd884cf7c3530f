"""Circuits, rests and probes, with a clock of our own."""

import pytest

from fakes.routing import endpoint
from regulars.model.errors import (
    CallerError,
    GatewayError,
    UpstreamBusyError,
    UpstreamClosedError,
    UpstreamStatusError,
    UpstreamTimeoutError,
)
from regulars.routing.health import (
    DENIED_S,
    OPEN_S,
    OPEN_S_MAX,
    OUTCOMES_MAX,
    PROBE_S,
    Failure,
    Health,
    failure_of,
)
from regulars.routing.sharing import SharedTrouble

A, B = endpoint("a"), endpoint("b")
BOTH = (A, B)


def status_error(status: int, *, retryable: bool = True) -> UpstreamStatusError:
    return UpstreamStatusError(
        "x", status=status, code="c", retryable=retryable, upstream_status=status
    )


def opened(now_s: float = 0.0) -> Health:
    health = Health()
    for _ in range(3):
        health.failed("a", Failure.ERROR, now_s)
    return health


def test_all_are_usable_before_anything_happened() -> None:
    assert Health().standings(BOTH, 0).usable is BOTH


def test_one_failure_changes_nothing() -> None:
    health = Health()

    health.failed("a", Failure.ERROR, 0)

    assert health.standings(BOTH, 0).usable is BOTH


def test_failures_in_a_row_open_the_circuit() -> None:
    standings = opened().standings(BOTH, 1)

    assert standings.usable == (B,)
    assert standings.refusals[0].endpoint == "a"
    assert "tried again in 4 s" in standings.refusals[0].reason


def test_slow_traffic_opens_the_circuit_too() -> None:
    health = Health()

    for at_s in (0, 100, 200):
        health.failed("a", Failure.ERROR, at_s)

    assert health.standings(BOTH, 201).usable == (B,)


def test_two_stalls_open_the_circuit() -> None:
    health = Health()

    health.failed("a", Failure.STALL, 0)
    health.failed("a", Failure.STALL, 1)

    assert health.standings(BOTH, 1).usable == (B,)


def test_half_of_all_failing_opens_the_circuit() -> None:
    health = Health()

    for at_s in range(4):
        health.succeeded("a", at_s)
        health.failed("a", Failure.ERROR, at_s)

    assert health.standings(BOTH, 4).usable == (B,)


def test_a_few_failures_among_many_answers_are_bearable() -> None:
    health = Health()

    for n in range(100):
        health.succeeded("a", n / 10)
        if n % 10 == 0:
            health.failed("a", Failure.ERROR, n / 10)

    assert health.standings(BOTH, 10).usable is BOTH
    assert not health.shaky("a", 10)


def test_after_the_pause_one_request_probes() -> None:
    health = opened()
    before = health.standings(BOTH, OPEN_S)

    health.began("a", OPEN_S)
    beside = health.standings(BOTH, OPEN_S + 1)
    given_up = health.standings(BOTH, OPEN_S + PROBE_S)

    assert before.usable == BOTH
    assert beside.usable == (B,)
    assert "trying it now" in beside.refusals[0].reason
    assert given_up.usable == BOTH


def test_a_probe_that_works_closes_the_circuit() -> None:
    health = opened()
    health.began("a", OPEN_S)

    health.succeeded("a", OPEN_S + 1)

    assert health.standings(BOTH, OPEN_S + 1).usable == BOTH
    assert health.shaky("a", OPEN_S + 1)
    assert not health.shaky("a", 60)


def test_a_probe_whose_client_left_lets_the_next_one_go() -> None:
    health = opened()
    health.began("a", OPEN_S)

    health.left("a")

    assert health.standings(BOTH, OPEN_S + 1).usable == BOTH


def test_failed_probes_double_the_pause_up_to_a_bound() -> None:
    health = opened()
    at_s = OPEN_S
    for _ in range(10):
        health.began("a", at_s)
        health.failed("a", Failure.ERROR, at_s)
        at_s += OPEN_S_MAX

    early = health.standings(BOTH, at_s - 1)
    ready = health.standings(BOTH, at_s)

    assert early.usable == (B,)
    assert ready.usable == BOTH


@pytest.mark.parametrize(("retry_after_s", "rests_s"), [(20.0, 20.0), (None, 1.0)])
def test_a_429_rests_the_endpoint(retry_after_s: float | None, rests_s: float) -> None:
    health = Health()

    health.failed("a", Failure.LIMITED, 0, retry_after_s=retry_after_s)

    assert health.standings(BOTH, rests_s - 0.1).usable == (B,)
    assert health.standings(BOTH, rests_s).usable is BOTH


def test_when_all_rest_it_is_told_how_long() -> None:
    health = Health()
    health.failed("a", Failure.LIMITED, 0, retry_after_s=20.0)
    health.failed("b", Failure.LIMITED, 0, retry_after_s=7.0)

    standings = health.standings(BOTH, 1)

    assert standings.usable == ()
    assert standings.retry_after_s == 6.0


def test_when_all_are_broken_they_are_tried_after_all() -> None:
    health = opened()
    for _ in range(3):
        health.failed("b", Failure.ERROR, 0)

    assert health.standings(BOTH, 1).usable == BOTH


def test_a_quota_that_is_gone_opens_the_circuit_at_once() -> None:
    health = Health()

    health.failed("a", Failure.DENIED, 0)

    assert health.standings(BOTH, DENIED_S - 1).usable == (B,)


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (UpstreamTimeoutError("x"), Failure.STALL),
        (UpstreamClosedError("x"), Failure.ERROR),
        (UpstreamBusyError("x"), None),
        (status_error(429), Failure.LIMITED),
        (status_error(402), Failure.DENIED),
        (status_error(503), Failure.ERROR),
        (status_error(422, retryable=False), None),
        (CallerError("x"), None),
    ],
)
def test_errors_tell_of_the_endpoint_or_not(error: GatewayError, failure: Failure | None) -> None:
    assert failure_of(error) is failure


def test_speeds_are_percentiles_of_five_minutes() -> None:
    health = Health()
    health.succeeded("a", 0, ttft_s=99.0, tokens_per_s=1.0)
    for n in range(1, 101):
        health.succeeded("a", 400, ttft_s=n / 100, tokens_per_s=float(n))

    assert health.ttft_s("a", 50, 401) == 0.5
    assert health.ttft_s("a", 99, 401) == 0.99
    assert health.tokens_per_s("a", 90, 401) == 10.0
    assert health.ttft_s("b", 50, 401) is None


def test_what_is_remembered_is_bounded() -> None:
    health = Health()

    for n in range(2 * OUTCOMES_MAX):
        health.succeeded("a", n / 1000, ttft_s=float(n))

    assert health.ttft_s("a", 0, 1) == OUTCOMES_MAX


def test_what_changed_is_told_once_and_all_that_is_wrong_when_asked_again() -> None:
    health = opened()
    health.failed("b", Failure.LIMITED, 1.0, retry_after_s=20.0)

    told, later, again = (
        health.troubles(2.0),
        health.troubles(2.0),
        health.troubles(3.0, again=True),
    )

    assert told == (
        SharedTrouble("a", open_s=OPEN_S - 2, pause_s=2 * OPEN_S, rest_s=0.0),
        SharedTrouble("b", open_s=None, pause_s=OPEN_S, rest_s=19.0),
    )
    assert later == ()
    assert [trouble.endpoint for trouble in again] == ["a", "b"]


def test_success_of_who_is_well_is_not_told() -> None:
    health = Health()
    health.failed("a", Failure.ERROR, 0)
    health.succeeded("a", 1)

    assert health.troubles(1) == ()


def test_what_is_heard_counts_as_if_seen_here() -> None:
    health = Health()

    health.hear(opened(100.0).troubles(100.0), 7.0, late_s=1.0)

    assert health.standings(BOTH, 7.5).usable == (B,)
    assert health.standings(BOTH, 6.0 + OPEN_S).usable == BOTH
    health.began("a", 6.0 + OPEN_S)  # the probe
    assert health.standings(BOTH, 6.0 + OPEN_S).usable == (B,)
    health.failed("a", Failure.ERROR, 6.0 + OPEN_S)
    assert health.standings(BOTH, 5.9 + 3 * OPEN_S).usable == (B,)  # twice as long


def test_a_closed_circuit_is_heard_unless_it_failed_here_since() -> None:
    healed = opened(0.0)
    healed.succeeded("a", 6.0)
    news = healed.troubles(6.0)
    old, newer = opened(0.0), opened(5.9)

    old.hear(news, 6.1, late_s=0.1)
    newer.hear(news, 6.1, late_s=0.4)

    assert old.standings(BOTH, 6.1).usable is BOTH
    assert newer.standings(BOTH, 6.1).usable == (B,)


def test_a_rest_that_is_heard_late_is_over_when_it_says() -> None:
    resting = Health()
    resting.failed("a", Failure.LIMITED, 0.0, retry_after_s=10.0)
    health = Health()

    health.hear(resting.troubles(0.0), 50.0, late_s=4.0)

    assert health.standings(BOTH, 55.9).usable == (B,)
    assert health.standings(BOTH, 56.0).usable == BOTH


def test_requests_that_were_under_way_when_the_circuit_opened_do_not_lengthen_the_pause() -> None:
    health = Health()

    for number in range(50):
        health.failed("a", Failure.ERROR, number / 1000)

    assert health.standings(BOTH, OPEN_S - 0.1).usable == (B,)
    assert health.standings(BOTH, OPEN_S + 0.1).usable == BOTH


def test_probes_of_several_processes_lengthen_the_pause_once() -> None:
    one, other = opened(), Health()
    other.hear(one.troubles(0.0), 0.0, late_s=0.0)
    for health in (one, other):
        health.began("a", OPEN_S)
        health.failed("a", Failure.ERROR, OPEN_S)
    other.hear(one.troubles(OPEN_S), OPEN_S, late_s=0.0)

    assert other.standings(BOTH, 3 * OPEN_S - 0.1).usable == (B,)
    assert other.standings(BOTH, 3 * OPEN_S).usable == BOTH


def test_parallel_429s_that_name_no_time_are_one_rest() -> None:
    health = Health()

    for number in range(50):
        health.failed("a", Failure.LIMITED, number / 1000)

    assert health.standings(BOTH, 0.9).usable == (B,)
    assert health.standings(BOTH, 1.1).usable == BOTH
    health.failed("a", Failure.LIMITED, 2.0)
    assert health.standings(BOTH, 3.9).usable == (B,)
    assert health.standings(BOTH, 4.1).usable == BOTH
