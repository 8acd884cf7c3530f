"""The `provider` object of a request, and who qualifies under it."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from fakes.routing import endpoint
from regulars.model.errors import CallerError
from regulars.model.money import Price
from regulars.routing.filters import Asked, Filter, Qualified, Speeds, Traits, refusals_text
from regulars.routing.health import Refusal
from regulars.routing.wishes import Wishes, read_wishes, split_suffix, with_suffix


def price(prompt: str) -> Price:
    return Price(prompt=Decimal(prompt) / 1_000_000, completion=Decimal(prompt) / 1_000_000)


A = endpoint("a", price=price("1"))
B = endpoint("b", price=price("2"))
C = endpoint("c", price=price("3"))
D = endpoint("d", price=None)
ALL = (A, B, C, D)
TRAITS = {
    "a": Traits(
        tag="a/turbo", quantization="nvfp4", parameters=frozenset({"tools"}), keeps_data=True
    ),
    "b": Traits(
        quantization="fp8", keeps_data=False, zdr=True, completion_tokens_max=100, distillable=False
    ),
    "c": Traits(
        tier=True, distillable=True, tag="c/priority", parameters=frozenset({"temperature"})
    ),
}


def read(**wishes: Any) -> Wishes:
    return read_wishes(json.dumps(wishes).encode())


def apply(asked: Asked | None = None, speeds: Speeds | None = None, **wishes: Any) -> Qualified:
    judged = Filter(read(**wishes), asked or Asked(), TRAITS, speeds or Speeds())
    return judged.apply(ALL)


def ids(qualified: Qualified) -> str:
    return "".join(one.id for one in qualified.endpoints)


def reasons(qualified: Qualified) -> Mapping[str, str]:
    return {refusal.endpoint: refusal.reason for refusal in qualified.refusals}


@pytest.mark.parametrize(
    ("wishes", "left"),
    [
        ({}, "abcd"),
        ({"only": ["a", "B"]}, "ab"),
        ({"only": ["a/turbo"]}, "a"),
        ({"ignore": ["a", "d"]}, "bc"),
        ({"only": ["a", "b"], "ignore": ["b"]}, "a"),
        ({"data_collection": "deny"}, "b"),
        ({"data_collection": "allow"}, "abcd"),
        ({"zdr": True}, "b"),
        ({"enforce_distillable_text": True}, "c"),
        ({"enforce_distillable_text": False}, "abcd"),
        ({"quantizations": ["fp4"]}, "a"),
        ({"quantizations": ["fp8", "unknown"]}, "bcd"),
        ({"max_price": {"prompt": 2}}, "ab"),
        ({"max_price": {"prompt": "1.5", "completion": "2"}}, "a"),
        ({"max_price": {"request": 0}}, "abc"),
    ],
)
def test_hard_wishes_leave(wishes: dict[str, Any], left: str) -> None:
    qualified = apply(**wishes)

    assert ids(qualified) == left
    assert qualified.ranked_by is None
    assert set(reasons(qualified)) == set("abcd") - set(left)
    assert all(reasons(qualified).values())


@pytest.mark.parametrize(
    ("wishes", "order", "ranked_by"),
    [
        ({"order": ["b", "a"]}, "bacd", "order"),
        ({"order": ["b"], "allow_fallbacks": False}, "b", "order"),
        ({"order": ["a/turbo", "d"], "ignore": ["b"]}, "adc", "order"),
        ({"sort": "price"}, "abcd", "sort"),
        ({"sort": {"by": "price", "partition": "none"}, "ignore": ["a"]}, "bcd", "sort"),
        ({"sort": "throughput"}, "cabd", "sort"),
        ({"sort": "latency"}, "bacd", "sort"),
        ({"order": ["d"], "sort": "price"}, "dabc", "order"),
    ],
)
def test_ranking_wishes_order(wishes: dict[str, Any], order: str, ranked_by: str) -> None:
    speeds = Speeds(
        ttft_s=lambda one, _: {"a": 2.0, "b": 1.0}.get(one),
        tokens_per_s=lambda one, _: {"a": 10.0, "c": 50.0}.get(one),
    )

    qualified = apply(speeds=speeds, **wishes)

    assert ids(qualified) == order
    assert qualified.ranked_by == ranked_by


def test_a_tier_is_not_meant_by_the_base_slug() -> None:
    tiered = endpoint("x")
    traits = {"x": Traits(tier=True, tag="p/priority")}

    by_base = Filter(read(only=["p"]), traits=traits).apply([tiered])
    by_tag = Filter(read(only=["p/priority"]), traits=traits).apply([tiered])

    assert by_base.endpoints == ()
    assert by_tag.endpoints == (tiered,)


def test_without_fallbacks_there_is_one_attempt() -> None:
    assert apply(allow_fallbacks=False).attempts_max == 1
    assert apply(allow_fallbacks=False, order=["a", "b"]).attempts_max is None
    assert apply().attempts_max is None


def test_required_parameters_refuse_and_unknown_support_passes() -> None:
    qualified = apply(Asked(frozenset({"temperature"})), require_parameters=True)

    assert ids(qualified) == "bcd"
    assert reasons(qualified)["a"] == "does not support temperature"


def test_tools_narrow_to_those_who_can() -> None:
    qualified = apply(Asked(frozenset({"tools"})))

    assert ids(qualified) == "abd"
    assert reasons(qualified) == {"c": "does not support tools"}


def test_tools_narrow_to_nobody_where_nobody_can() -> None:
    qualified = Filter(asked=Asked(frozenset({"tools"})), traits=TRAITS).apply([C])

    assert qualified.endpoints == (C,)


def test_long_answers_need_who_can_produce_them() -> None:
    qualified = apply(Asked(max_tokens=500))

    assert ids(qualified) == "acd"
    assert "only 100" in reasons(qualified)["b"]


def test_missed_preferences_go_to_the_end() -> None:
    speeds = Speeds(
        ttft_s=lambda one, percent: {("a", 90): 9.0}.get((one, percent)),
        tokens_per_s=lambda one, percent: {("b", 50): 3.0}.get((one, percent)),
    )

    qualified = apply(speeds=speeds, preferred_max_latency={"p90": 5}, preferred_min_throughput=20)

    assert ids(qualified) == "cd"
    assert qualified.last == (A, B)


def test_if_all_miss_the_preference_all_stay() -> None:
    slow = Speeds(ttft_s=lambda _one, _percent: 9.0)

    qualified = apply(speeds=slow, preferred_max_latency=1)

    assert ids(qualified) == "abcd"
    assert qualified.last == ()


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"order": "a"}, "$.order"),
        ({"sort": "beauty"}, "$.sort"),
        ({"sort": "exacto"}, "price, throughput or latency"),
        ({"sort": {"by": "exacto"}}, "price, throughput or latency"),
        ({"sort": {"by": "price", "partition": "all"}}, "$.sort.partition"),
        ({"data_collection": "maybe"}, "$.data_collection"),
        ({"quantizations": ["int3"]}, "$.quantizations"),
        ({"max_price": {"prompt": "cheap"}}, "max_price.prompt"),
        ({"max_price": {"prompt": -1}}, "max_price.prompt"),
        ({"max_price": {"prompt": "NaN"}}, "max_price.prompt"),
        ({"max_price": {"dinner": 1}}, "'dinner'"),
        ({"preferred_max_latency": -1}, "$.preferred_max_latency"),
        ({"only": [""]}, "$.only"),
        ({"zdr": "yes"}, "$.zdr"),
    ],
)
def test_wishes_that_cannot_be_are_named(wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(CallerError, match=r"^provider") as caught:
        read(**wishes)

    assert said in caught.value.message


@pytest.mark.parametrize("written", [b"null", b"{}", b'{"order": null, "new_key": [1]}'])
def test_no_wish_is_no_wish(written: bytes) -> None:
    assert read_wishes(written) == Wishes()


def test_suffixes_ask_for_a_sort() -> None:
    assert split_suffix("a/m:nitro") == ("a/m", "throughput")
    assert split_suffix("a/m:floor") == ("a/m", "price")
    assert split_suffix("a/m:free") == ("a/m:free", None)
    assert split_suffix("nitro") == ("nitro", None)
    assert with_suffix(Wishes(), "price").sort == "price"
    assert with_suffix(Wishes(sort="latency"), "price").sort == "latency"
    assert with_suffix(Wishes(), None).sort is None


def test_the_reasons_are_told_and_bounded() -> None:
    few = refusals_text("m", [Refusal("a", "is blue")])
    many = refusals_text("m", [Refusal(f"e{n}", "is blue") for n in range(25)])

    assert few == "no endpoint of model 'm' can serve this request: a: is blue"
    assert many.endswith("and 5 more")
    assert "it has none" in refusals_text("m", [])
