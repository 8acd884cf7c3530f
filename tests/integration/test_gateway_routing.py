"""What a request wishes of its endpoints, through the real gateway to scripted providers."""

from pathlib import Path
from typing import Any

import pytest

from fakes.provider import Script, error_script
from fakes.routed_gateway import OTHER_MODEL, Offer, price, routed_gateway
from fakes.running_gateway import MODEL
from regulars.config.settings import UpstreamSettings
from regulars.model.catalog import Traits
from regulars.model.generation import Outcome

DOWN = error_script(503, "busy")


def test_order_is_kept_and_turns_warmth_off(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer(), Offer()) as routed:
        routed.chat(user="u", provider={"order": ["p2"]})
        first = routed.attempts()
        routed.chat(user="u", provider={"order": ["P1", "p2"]})
        second = routed.attempts()

    assert first == [("p2", "order")]
    assert second == [("p1", "order")]


def test_the_others_follow_when_the_ordered_fail(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer(DOWN), Offer(DOWN)) as routed:
        got = routed.chat(user="u", provider={"order": ["p2", "p1"]})
        attempts = routed.attempts()

    assert got.json["provider"] == "Provider 0"
    assert attempts == [("p2", "order"), ("p1", "failover"), ("p0", "failover")]


def test_without_fallbacks_only_the_ordered_are_tried(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer(DOWN)) as routed:
        got = routed.chat(user="u", provider={"order": ["p1"], "allow_fallbacks": False})
        tried = routed.tried()

    assert got.status == 503
    assert "Provider 1 answered 503: busy" in got.json["error"]["message"]
    assert tried == ["p1"]


def test_without_fallbacks_the_first_choices_error_is_returned(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(DOWN), Offer(DOWN)) as routed:
        got = routed.chat(user="u", provider={"allow_fallbacks": False})
        tried = routed.tried()

    assert got.status == 503
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"only": ["p1"]}, "p1"),
        ({"ignore": ["p0", "p2"]}, "p1"),
        ({"sort": "price"}, "p2"),
        ({"sort": {"by": "price"}}, "p2"),
        ({"max_price": {"prompt": 0.5}}, "p2"),
        ({"max_price": {"completion": "0.5"}}, "p2"),
        ({"zdr": True}, "p1"),
        ({"data_collection": "deny"}, "p1"),
        ({"quantizations": ["fp8", "int4"]}, "p1"),
        ({"require_parameters": True}, "p0"),
    ],
    ids=str,
)
def test_a_wish_decides_who_serves(tmp_path: Path, wishes: dict[str, Any], expected: str) -> None:
    chat_fields = frozenset({"model", "messages", "user", "provider", "seed"})
    without_seed = chat_fields - {"seed"}
    with routed_gateway(
        tmp_path,
        Offer(price=price("3"), traits=Traits(parameters=chat_fields)),
        Offer(
            price=price("2"),
            traits=Traits(
                parameters=without_seed, zdr=True, keeps_data=False, quantization="mxfp8"
            ),
        ),
        Offer(price=price("0.5"), traits=Traits(parameters=without_seed, keeps_data=True)),
    ) as routed:
        got = [routed.chat(user=user, seed=1, provider=wishes) for user in ("u", "v", "w")]

    assert [answer.status for answer in got] == [200, 200, 200]
    providers = {answer.json["provider"] for answer in got}
    assert providers == {f"Provider {expected[1]}"}


def test_the_suffix_floor_takes_the_cheapest(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(price=price("3")), Offer(price=price("1"))) as routed:
        got = routed.chat(user="u", model=f"{MODEL}:floor")
        attempts = routed.attempts()

    assert got.json["model"] == MODEL
    assert attempts == [("p1", "sort")]


def test_the_suffix_nitro_takes_the_fastest(tmp_path: Path) -> None:
    slow = Script(body_delay_s=0.2)
    with routed_gateway(tmp_path, Offer(slow), Offer()) as routed:
        routed.chat(user="u", provider={"order": ["p0"]})
        routed.chat(user="u", provider={"order": ["p1"]})
        routed.chat(user="u", model=f"{MODEL}:nitro")
        attempts = routed.attempts()

    assert attempts == [("p1", "sort")]


@pytest.mark.parametrize(
    "wish", [{"preferred_max_latency": 0.15}, {"preferred_min_throughput": {"p50": 100}}], ids=str
)
def test_a_slow_endpoint_stands_last_but_still_serves(tmp_path: Path, wish: dict[str, Any]) -> None:
    slow = Script(body_delay_s=0.3, chunk_delay_s=0.1)
    with routed_gateway(tmp_path, Offer(slow), Offer()) as routed:
        routed.chat(user="u", stream=True, provider={"order": ["p0"]})
        routed.chat(user="u", stream=True, provider={"order": ["p1"]})
        routed.chat(user="u", stream=True, provider={"order": ["p0"]})
        quick = routed.chat(user="u", provider=wish)
        routed.providers[1].enqueue(DOWN, DOWN)
        fallen_back = routed.chat(user="u", provider=wish)
        attempts = routed.attempts()

    assert quick.json["provider"] == "Provider 1"
    assert fallen_back.json["provider"] == "Provider 0"
    assert [slug for slug, _ in attempts] == ["p1", "p0"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("tools", [{"type": "function", "function": {"name": "f"}}]), ("response_format", {})],
    ids=["tools", "response_format"],
)
def test_tools_go_where_tools_are_known(tmp_path: Path, field: str, value: Any) -> None:
    with routed_gateway(
        tmp_path, Offer(traits=Traits(parameters=frozenset())), Offer(), Offer(DOWN)
    ) as routed:
        got = routed.chat(user="u", **{field: value})

    assert got.json["provider"] == "Provider 1"


def test_an_answer_too_long_for_an_endpoint_is_sent_elsewhere(tmp_path: Path) -> None:
    with routed_gateway(
        tmp_path, Offer(traits=Traits(completion_tokens_max=10)), Offer()
    ) as routed:
        got = [routed.chat(user=user, max_tokens=11).json["provider"] for user in "abc"]

    assert got == ["Provider 1"] * 3


def test_a_tier_is_meant_by_its_tag_alone(tmp_path: Path) -> None:
    tier = Traits(tag="p1/priority", tier=True)
    with routed_gateway(tmp_path, Offer(), Offer(traits=tier)) as routed:
        by_tag = routed.chat(provider={"only": ["p1/priority"]})
        by_slug = routed.chat(provider={"only": ["p1"]})

    assert by_tag.json["provider"] == "Provider 1"
    assert by_slug.status == 404


def test_nobody_left_is_a_404_that_says_why_each_fell_out(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer(traits=Traits(keeps_data=True))) as routed:
        got = routed.chat(provider={"data_collection": "deny"})
        (row,) = routed.gateway.rows()

    assert got.status == 404
    assert got.json["error"]["message"] == (
        f"no endpoint of model '{MODEL}' can serve this request: "
        f"p0/{MODEL}: is not known to keep no data, and provider.data_collection is deny; "
        f"p1/{MODEL}: keeps data, and provider.data_collection is deny"
    )
    assert (row.outcome, row.status, row.error) == (Outcome.REFUSED, 404, "not_found")
    assert row.attempts == ()


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"max_price": {"prompt": "cheap"}}, "provider.max_price.prompt"),
        ({"max_price": {"tokens": 1}}, "provider.max_price"),
        ({"order": "p0"}, "order"),
        ({"sort": "beauty"}, "sort"),
        ({"quantizations": ["fp9"]}, "quantizations"),
        ("p0", "provider"),
    ],
    ids=str,
)
def test_a_wish_that_cannot_be_is_a_400_that_names_it(
    tmp_path: Path, wishes: Any, field: str
) -> None:
    with routed_gateway(tmp_path, Offer()) as routed:
        got = routed.chat(provider=wishes)

    assert got.status == 400
    assert field in got.json["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_model_answers_when_the_first_cannot(tmp_path: Path, stream: bool) -> None:
    with routed_gateway(tmp_path, Offer(DOWN), Offer(DOWN), Offer(model=OTHER_MODEL)) as routed:
        got = routed.chat(user="u", models=[OTHER_MODEL], stream=stream)
        (row,) = routed.gateway.rows()

    named = {event["model"] for event in got.events} if stream else {got.json["model"]}
    assert named == {OTHER_MODEL}
    assert (row.model, row.outcome) == (OTHER_MODEL, Outcome.COMPLETED)
    assert [attempt.error is None for attempt in row.attempts] == [False, False, True]


def test_the_next_model_answers_what_the_first_refuses(tmp_path: Path) -> None:
    too_long = error_script(400, "too long", code="context_length_exceeded")
    with routed_gateway(
        tmp_path, Offer(too_long), Offer(too_long), Offer(model=OTHER_MODEL)
    ) as routed:
        got = routed.chat(user="u", models=[MODEL, OTHER_MODEL])
        received = routed.received()

    assert got.json["model"] == OTHER_MODEL
    assert sum(received[:2]) == 1
    assert received[2] == 1


def test_a_refusal_of_the_only_model_is_returned_at_once(tmp_path: Path) -> None:
    wrong = error_script(400, "no such role")
    with routed_gateway(tmp_path, Offer(wrong), Offer(wrong)) as routed:
        got = routed.chat(user="u")
        tried = routed.tried()

    assert got.status == 400
    assert len(tried) == 1


def test_an_unknown_fallback_model_is_named(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer()) as routed:
        got = routed.chat(models=["test/missing"])

    assert got.status == 400
    assert "test/missing" in got.json["error"]["message"]


def test_a_request_can_opt_out_of_stickiness(tmp_path: Path) -> None:
    with routed_gateway(tmp_path, Offer(), Offer()) as routed:
        home = routed.chat(user="u").json["provider"]
        routed.chat(user="u", headers={"X-Regulars-Sticky": "off"})
        opted_out = routed.attempts()
        back = routed.chat(user="u").json["provider"]
        reason = routed.attempts()[0][1]
        neither = routed.chat(user="u", headers={"X-Regulars-Sticky": "maybe"})

    assert [reason for _, reason in opted_out] == ["opted-out"]
    assert (back, reason) == (home, "warm-session")
    assert neither.status == 400


def test_too_old_a_request_tries_no_further_endpoint(tmp_path: Path) -> None:
    slow_error = Script(status=503, head_delay_s=0.1)
    with routed_gateway(
        tmp_path,
        Offer(slow_error),
        Offer(slow_error),
        upstream=UpstreamSettings(attempts_time_s=0.05),
    ) as routed:
        got = routed.chat(user="u")
        tried = routed.tried()

    assert got.status == 503
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ({"by": "price"}, ["p1", "p0", "p2"]),
        ({"by": "price", "partition": "model"}, ["p1", "p0", "p2"]),
        ({"by": "price", "partition": "none"}, ["p2", "p1", "p0"]),
        ({"partition": "none"}, None),
    ],
    ids=str,
)
def test_models_are_sorted_together_only_when_asked(
    tmp_path: Path, sort: dict[str, Any], expected: list[str] | None
) -> None:
    failing = Script(status=500, body=b"{}")
    offers = (
        Offer(failing, price=price("3")),
        Offer(failing, price=price("2")),
        Offer(failing, price=price("1"), model=OTHER_MODEL),
    )
    with routed_gateway(tmp_path, *offers) as routed:
        got = routed.chat(models=[MODEL, OTHER_MODEL], provider={"sort": sort})
        tried = routed.tried()

    assert got.status == 502
    assert tried[-1] == "p2" if expected is None else tried == expected


def test_models_sorted_together_are_passed_over_one_by_one(tmp_path: Path) -> None:
    refusing = Script(status=400, body=b'{"error": {"message": "no"}}')
    offers = (
        Offer(refusing, price=price("1")),
        Offer(refusing, price=price("2")),
        Offer(price=price("3"), model=OTHER_MODEL),
    )
    with routed_gateway(tmp_path, *offers) as routed:
        got = routed.chat(
            models=[MODEL, OTHER_MODEL], provider={"sort": {"by": "price", "partition": "none"}}
        )
        tried = routed.tried()

    assert (got.status, got.json["model"]) == (200, OTHER_MODEL)
    assert tried == ["p0", "p2"]  # what one endpoint of a model refuses, the other would
