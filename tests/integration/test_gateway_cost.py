"""What requests cost through the running gateway: who said so, by which price, and everywhere alike."""

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import PRICE, Answer, RunningGateway, running_gateway
from regulars.billing.known_prices import known_price
from regulars.model.generation import CostSource, Generation, UsageSource
from regulars.model.money import NANO, Cost, Price
from regulars.model.tokens import Usage
from regulars.stores.base import Difference
from regulars.stores.sqlite import open_store

HOUR_US = 3_600_000_000
COUNTS = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
LISTED = Cost(680_000, 600_000, 80_000, 0)
FLEX = Price(PRICE.prompt / 2, PRICE.completion / 2)
TIERED = Price(PRICE.prompt, PRICE.completion, services=(("flex", FLEX),))


def usage_of(answer: Answer) -> dict[str, Any]:
    """Return a whole answer's or a stream's usage, its money exact."""
    text = answer.body.decode()
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = answer.data[-2]
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)["usage"]


def nano(usd: Decimal | None) -> int | None:
    return None if usd is None else int(usd * NANO)


def shown_everywhere(gateway: RunningGateway, answer: Answer, row: Generation) -> Cost:
    """Return the cost after a look at each place that shows it."""
    usage = usage_of(answer)
    details = usage["cost_details"]
    view = gateway.get(f"/api/v1/generation?id={row.id}").body
    found = json.loads(view, parse_float=Decimal, parse_int=Decimal)["data"]
    activity = gateway.get(f"/api/v1/activity?date={datetime.now(UTC):%Y-%m-%d}").body
    days = json.loads(activity, parse_float=Decimal, parse_int=Decimal)["data"]
    cost = row.cost
    assert cost is not None

    assert nano(usage["cost"]) == nano(found["total_cost"]) == nano(found["usage"]) == cost.total
    assert sum(nano(day["usage"]) or 0 for day in days) == cost.total
    for parts in (details, found["cost_details"]):
        assert nano(parts["upstream_inference_prompt_cost"]) == cost.prompt
        assert nano(parts["upstream_inference_completions_cost"]) == cost.completion
    assert cost.prompt + cost.completion == cost.total
    assert usage["is_byok"] is found["is_byok"] is (cost.byok is not None)
    assert nano(details["upstream_inference_cost"]) == cost.byok
    assert nano(found["upstream_inference_cost"]) == cost.byok
    assert found["cost_source"] == row.cost_source
    assert (found["price"], found["price_version"]) == (row.price, row.price_version)
    assert found["service_tier"] == row.service_tier
    return cost


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"cost": 0.00068}, LISTED),
        ({"cost": 0.00034}, Cost(340_000, 300_000, 40_000, 0)),
        (
            {
                "cost": 0.000345,
                "cost_details": {
                    "upstream_inference_cost": None,
                    "upstream_inference_prompt_cost": 0.0003,
                    "upstream_inference_completions_cost": 0.00004,
                },
            },
            Cost(345_000, 305_000, 40_000, 0),
        ),
        (
            {
                "cost": 0.00001,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 0.00068},
            },
            Cost(690_000, 608_824, 81_176, 0, 680_000),
        ),
        ({"cost_in_usd_ticks": 3_400_000}, Cost(340_000, 300_000, 40_000, 0)),
    ],
    ids=["as listed", "discounted", "in parts", "byok", "ticks"],
)
def test_what_the_upstream_charged_is_what_every_place_shows(
    tmp_path: Path, stream: bool, said: dict[str, Any], expected: Cost
) -> None:
    script = Script(usage_tokens={**COUNTS, **said})
    with (
        ScriptedProvider(default=script) as provider,
        running_gateway(tmp_path, [provider]) as gateway,
    ):
        answer = gateway.chat(user="u", stream=stream)
        (row,) = gateway.wait_for_rows(1)

        assert shown_everywhere(gateway, answer, row) == expected
        assert row.cost_source is CostSource.REPORTED


@pytest.mark.parametrize("stream", [False, True])
def test_without_a_word_from_the_upstream_it_is_tokens_times_price(
    tmp_path: Path, stream: bool
) -> None:
    with (
        ScriptedProvider(default=Script(usage_tokens=COUNTS)) as provider,
        running_gateway(tmp_path, [provider]) as gateway,
    ):
        answer = gateway.chat(user="u", stream=stream)
        (row,) = gateway.wait_for_rows(1)
        page = gateway.get(f"/generations/{row.id}").body.decode()

        assert shown_everywhere(gateway, answer, row) == LISTED
        assert row.cost_source is CostSource.COMPUTED
        assert row.price == "prompt 0.6 completion 0.8 cache_read 0.06"
        assert row.price in page
        assert f"<code>{row.price_version}</code>" in page


def test_a_stream_that_broke_off_is_estimated_by_the_same_price(tmp_path: Path) -> None:
    broken = Script(error={"message": "overloaded", "code": 500}, error_after=2)
    with (
        ScriptedProvider(default=broken) as provider,
        running_gateway(tmp_path, [provider]) as gateway,
    ):
        gateway.chat(user="u", stream=True)
        (row,) = gateway.wait_for_rows(1)

    assert row.cost_source is CostSource.ESTIMATED
    assert row.price is not None


def test_what_came_after_an_early_count_is_estimated_and_not_free(tmp_path: Path) -> None:
    silent = {**COUNTS, "completion_tokens": 0, "total_tokens": 1000}
    spoken = [{"index": 0, "delta": {"content": "forty bytes of what the provider said. "}}]
    said = {"id": "up-1", "choices": spoken}
    broken = Script(events=[{**said, "usage": silent, "choices": []}, said, said, BROKEN])
    with (
        ScriptedProvider(default=broken) as provider,
        running_gateway(tmp_path, [provider]) as gateway,
    ):
        gateway.chat(user="u", stream=True)
        (row,) = gateway.wait_for_rows(1)

    assert row.usage is not None
    assert row.usage.prompt_tokens == 1000
    assert row.usage.completion_tokens >= 15
    assert row.usage_source is UsageSource.ESTIMATED
    assert row.cost_source is CostSource.ESTIMATED
    assert row.cost is not None
    assert row.cost.total == 600_000 + 800 * row.usage.completion_tokens


def test_an_answer_that_came_to_nothing_is_free_and_says_why(tmp_path: Path) -> None:
    nothing = Script(text="", finish_reason="error", usage_tokens=COUNTS | {"completion_tokens": 0})
    with (
        ScriptedProvider(default=nothing) as provider,
        running_gateway(tmp_path, [provider]) as gateway,
    ):
        gateway.chat(user="u")
        (row,) = gateway.wait_for_rows(1)

    assert (row.cost, row.cost_source) == (Cost(0, 0, 0, 0), CostSource.INSURED)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("served", "asked", "cost", "kept"),
    [
        ("flex", "flex", 340_000, "flex"),
        ("default", "flex", 680_000, "default"),
        (None, "flex", 340_000, None),
        (None, None, 680_000, None),
        ("priority", "priority", None, "priority"),
    ],
)
def test_the_service_tier_that_served_sets_the_price(
    tmp_path: Path,
    *,
    stream: bool,
    served: str | None,
    asked: str | None,
    cost: int | None,
    kept: str | None,
) -> None:
    extra = {} if served is None else {"service_tier": served}
    wish: dict[str, Any] = {} if asked is None else {"service_tier": asked}
    with (
        ScriptedProvider(default=Script(usage_tokens=COUNTS, extra=extra)) as provider,
        running_gateway(tmp_path, [provider], price=TIERED) as gateway,
    ):
        answer = gateway.chat(user="u", stream=stream, **wish)
        (row,) = gateway.wait_for_rows(1)

    assert nano(usage_of(answer)["cost"]) == cost
    assert (None if row.cost is None else row.cost.total) == cost
    assert row.service_tier == kept
    assert row.price_status == ("unknown" if cost is None else "priced")
    assert provider.requests[0].json.get("service_tier") == asked


def test_a_service_tier_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        answer = gateway.chat(user="u", service_tier=5)

    assert answer.status == 400
    assert "service_tier" in answer.json["error"]["message"]


@pytest.mark.parametrize(("prompt", "nanousd"), [(200_000, 250_010_000), (200_001, 500_017_500)])
def test_a_prompt_over_200k_costs_the_higher_price(
    tmp_path: Path, prompt: int, nanousd: int
) -> None:
    price = known_price(
        "google", "https://generativelanguage.googleapis.com", "gemini-2.5-pro", datetime.now(UTC)
    )
    counts = {"prompt_tokens": prompt, "completion_tokens": 1, "total_tokens": prompt + 1}
    with (
        ScriptedProvider(default=Script(usage_tokens=counts)) as provider,
        running_gateway(tmp_path, [provider], price=price) as gateway,
    ):
        answer = gateway.chat(user="u")

    # 200,000 x 1.25 + 10 USD/M, one token more: 200,001 x 2.50 + 15 USD/M
    assert nano(usage_of(answer)["cost"]) == nanousd


def test_a_dated_price_counts_as_it_is_when_the_request_comes(tmp_path: Path) -> None:
    now_us = time.time_ns() // 1000
    dear = Price(PRICE.prompt * 2, PRICE.completion * 2)
    dated = ((now_us - 2 * HOUR_US, dear), (now_us - HOUR_US, PRICE), (now_us + HOUR_US, dear))
    with (
        ScriptedProvider(default=Script(usage_tokens=COUNTS)) as provider,
        running_gateway(
            tmp_path, [provider], price=Price(dear.prompt, dear.completion, dated=dated)
        ) as gateway,
    ):
        answer = gateway.chat(user="u")

    assert nano(usage_of(answer)["cost"]) == LISTED.total


def test_a_new_price_never_rewrites_old_rows(tmp_path: Path) -> None:
    dear = Price(PRICE.prompt * 10, PRICE.completion * 10)
    with ScriptedProvider(default=Script(usage_tokens=COUNTS)) as provider:
        with running_gateway(tmp_path, [provider]) as before:
            before.chat(user="u")
            (old,) = before.wait_for_rows(1)
            keys = (before.key, before.management_key)
        with running_gateway(tmp_path, [provider], price=dear, keys=keys) as after:
            after.chat(user="u")
            kept, new = after.wait_for_rows(2)

    assert kept == old
    assert kept.cost is not None
    assert new.cost is not None
    assert (kept.cost.total, new.cost.total) == (LISTED.total, 10 * LISTED.total)
    assert kept.price != new.price
    assert kept.price_version != new.price_version


BROKEN = {"error": {"message": "overloaded", "code": 500}}
SAID = {**COUNTS, "cost": 0.0005}
"""What a provider counted, and says it charged, for an answer that it then failed to give."""
LATE_ERROR = [{"id": "up-1", "choices": [], "usage": SAID}, {"id": "up-1", **BROKEN}]
ERROR_BODY = json.dumps({"id": "up-1", "usage": SAID, **BROKEN}).encode()


@pytest.mark.parametrize(
    ("broken", "stream"),
    [
        (Script(events=LATE_ERROR), True),
        (Script(events=[{"id": "up-1", "usage": SAID, **BROKEN}]), True),
        (Script(status=500, body=ERROR_BODY), True),
        (Script(status=500, body=ERROR_BODY), False),
        (Script(body=ERROR_BODY), False),
    ],
    ids=["usage, then error", "error with usage", "500, stream", "500", "200"],
)
def test_what_a_passed_over_provider_charged_is_part_of_the_cost_everywhere(
    tmp_path: Path, broken: Script, *, stream: bool
) -> None:
    with (
        ScriptedProvider(default=broken) as failing,
        ScriptedProvider(default=Script(usage_tokens=COUNTS)) as healthy,
        running_gateway(tmp_path, [failing, healthy]) as gateway,
    ):
        answer = gateway.chat(user="u", stream=stream, provider={"order": ["p0", "p1"]})
        (row,) = gateway.wait_for_rows(1)
        shown = shown_everywhere(gateway, answer, row)
        view = gateway.get(f"/api/v1/generation?id={row.id}").json["data"]
        page = gateway.get(f"/generations/{row.id}").body.decode()
        differences = differences_of(gateway)

    billed = row.attempts[0].billed
    assert billed is not None
    assert billed.upstream_id == "up-1"
    assert (billed.usage, billed.cost_source) == (Usage(1000, 100), CostSource.REPORTED)
    assert billed.cost == Cost(500_000, 441_176, 58_824, 0)
    assert row.usage == Usage(1000, 100)
    assert shown == Cost(1_180_000, 1_041_176, 138_824, 0)
    assert [one["cost"] for one in view["provider_responses"]] == [0.0005, None]
    assert "Billed before by Provider 0" in page
    assert differences == []


def test_a_passed_over_answer_that_came_to_nothing_is_free(tmp_path: Path) -> None:
    silent = {**COUNTS, "completion_tokens": 0, "total_tokens": 1000}
    broken = Script(events=[{"id": "up-1", "choices": [], "usage": silent}, BROKEN])
    with (
        ScriptedProvider(default=broken) as failing,
        ScriptedProvider(default=Script(usage_tokens=COUNTS)) as healthy,
        running_gateway(tmp_path, [failing, healthy]) as gateway,
    ):
        gateway.chat(user="u", stream=True, provider={"order": ["p0", "p1"]})
        (row,) = gateway.wait_for_rows(1)

    billed = row.attempts[0].billed
    assert billed is not None
    assert (billed.usage.prompt_tokens, billed.cost_source) == (1000, CostSource.INSURED)
    assert row.cost == LISTED


def test_what_one_attempt_used_is_not_taken_for_the_next_ones(tmp_path: Path) -> None:
    counted = Script(events=[{"id": "up-1", "choices": [], "usage": COUNTS}, BROKEN])
    with (
        ScriptedProvider(default=counted) as first,
        ScriptedProvider(default=Script(status=500, body=b"down")) as second,
        running_gateway(tmp_path, [first, second]) as gateway,
    ):
        gateway.chat(user="u", stream=True, provider={"order": ["p0", "p1"]})
        (row,) = gateway.wait_for_rows(1)

    assert (row.provider, row.upstream_id, row.usage) == ("Provider 1", None, None)
    assert row.attempts[0].billed is not None
    assert (row.cost, row.cost_source) == (LISTED, CostSource.COMPUTED)


def differences_of(gateway: RunningGateway) -> list[Difference]:
    """What `regulars ledger verify` finds."""
    store = open_store(gateway.settings.store.url)
    try:
        return list(store.verify())
    finally:
        store.close()
