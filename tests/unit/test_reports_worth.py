"""Sticky users against the holdout: what counts, and how sure one may be."""

from random import Random

import pytest
from msgspec.structs import replace

from regulars.model.generation import Attempt, Generation, Outcome, UsageSource
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.reports.worth import GROUPS_MAX, Tally, Use, worth

SEED = 7


def row(
    user: str | None, reason: str, *, cached: int | None = 800, cost: int | None = 100
) -> Generation:
    return Generation(
        id="gen-1",
        created_at_us=1,
        account="default",
        key_hash="k",
        outcome=Outcome.COMPLETED,
        status=200,
        model="m",
        streamed=False,
        end_user=user,
        usage=Usage(1000, 10, cached_tokens=cached),
        usage_source=UsageSource.REPORTED,
        cost=None if cost is None else Cost(cost + 10, cost, 10, 0),
        attempts=(Attempt("e", "p", reason, 200, None, 0.0, 1.0),),
    )


def tally(rows: list[Generation]) -> Tally:
    tally = Tally()
    for each in rows:
        tally.add(each)
    return tally


def draw(users: object, count: int) -> list[Use]:
    return RANDOM.choices(users, k=count)  # pyright: ignore[reportArgumentType] - a sequence of uses


RANDOM = Random(SEED)


def test_shares_and_costs_are_compared() -> None:
    sticky = [row(f"s{n}", "warm-session", cached=800, cost=200) for n in range(20)]
    held_out = [row(f"h{n}", "holdout", cached=300, cost=700) for n in range(20)]

    found = worth(tally(sticky + held_out), draw)

    assert (found.sticky.users, found.holdout.users) == (20, 20)
    assert (found.sticky.cached_share, found.holdout.cached_share) == (0.8, 0.3)
    assert found.sticky.usd_per_1k_prompt_tokens == pytest.approx(200e-9)
    assert found.cached_share_gain is not None
    assert found.cached_share_gain.value == pytest.approx(0.5)
    assert found.usd_saved_per_1k_prompt_tokens is not None
    assert found.usd_saved_per_1k_prompt_tokens.value == pytest.approx(500e-9)


def test_the_interval_holds_the_value_and_narrows_with_more_users() -> None:
    def rows(users: int) -> list[Generation]:
        reasons = ("warm-session", "holdout")
        return [
            row(f"{reason}{n}", reason, cached=(500 if reason == "holdout" else 700) + n % 7 * 40)
            for reason in reasons
            for n in range(users)
        ]

    few = worth(tally(rows(14)), draw).cached_share_gain
    many = worth(tally(rows(1400)), draw).cached_share_gain

    assert few is not None
    assert many is not None
    assert few.low < 0.2 < few.high
    assert many.low < 0.2 < many.high
    assert many.high - many.low < (few.high - few.low) / 5


def test_without_a_holdout_there_is_no_estimate() -> None:
    found = worth(tally([row(f"u{n}", "cold") for n in range(9)]), draw)

    assert found.holdout.users == 0
    assert found.holdout.cached_share is None
    assert found.cached_share_gain is None
    assert found.usd_saved_per_1k_prompt_tokens is None


def test_rows_that_say_nothing_are_left_out() -> None:
    good = row("u", "cold")
    silent = [
        row(None, "cold"),
        row("u", "opted-out"),
        row("u", "cold", cached=None),
        replace(good, outcome=Outcome.CANCELLED),
        replace(good, usage=None),
        replace(good, usage_source=UsageSource.ESTIMATED),
        replace(good, attempts=()),
    ]

    counted = tally([good, *silent])

    assert counted.sticky == {"u": Use(1, 1000, 800, 1000, 100)}
    assert counted.holdout == {}


def test_an_unknown_price_is_not_a_price_of_nothing() -> None:
    found = worth(tally([row("u", "cold", cost=None), row("v", "cold", cost=50)]), draw)

    assert found.sticky.prompt_tokens == 2000
    assert found.sticky.usd_per_1k_prompt_tokens == pytest.approx(50e-9)


def test_many_users_are_drawn_in_bounded_groups() -> None:
    drawn: list[int] = []

    def counting(users: object, count: int) -> list[Use]:
        drawn.append(count)
        return draw(users, count)

    reasons = ("cold", "holdout")
    worth(tally([row(f"u{n}", reasons[n % 2]) for n in range(2 * GROUPS_MAX + 2)]), counting)

    assert set(drawn) == {GROUPS_MAX}
