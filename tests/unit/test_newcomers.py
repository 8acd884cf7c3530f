"""Which hours brought far more new ids than usual: labelled hours, precision and recall."""

from random import Random

import pytest

from regulars.reports.newcomers import NewHour, explosions, under_many_ids

SHARE_MIN = 0.95


def hour(
    at: int, users: int, *, key: str = "k", requests: int = 5000, going_on: int = 0
) -> NewHour:
    return NewHour(at, key, users, going_on, ("u…1",), requests, 7 * requests, 100, 50)


def steady(chance: Random, *, usual: int, hours: int = 48, key: str = "k") -> list[NewHour]:
    return [hour(at, round(usual * chance.uniform(0.4, 2.5)), key=key) for at in range(hours)]


def test_labelled_hours_are_judged_right() -> None:
    chance = Random(8)
    hours: list[NewHour] = []
    labelled: set[tuple[str, int]] = set()
    for number in range(200):
        key, usual = f"key{number}", chance.choice((2, 10, 50, 300))
        own = steady(chance, usual=usual, key=key)
        if number % 2:
            at = chance.randrange(48)
            own[at] = hour(at, max(150, usual * chance.randint(15, 100)), key=key, requests=90_000)
            labelled.add((key, at))
        hours += own

    found = {(one.at.key, one.at.hour) for one in explosions(hours)}

    assert len(found & labelled) >= SHARE_MIN * len(found)
    assert len(found & labelled) >= SHARE_MIN * len(labelled)


@pytest.mark.parametrize(
    ("hours", "found"),
    [
        ([hour(1, 5000, requests=5100)], [5000]),  # nothing to compare with, hardly anything else
        ([hour(1, 5000, requests=50_000)], []),  # a first hour of many people
        ([hour(at, 3) for at in range(5)] + [hour(9, 90)], []),  # more than usual, but few
        ([hour(at, 3) for at in range(5)] + [hour(9, 120)], [120]),
        ([hour(at, 3, key="a") for at in range(5)] + [hour(9, 120, key="b")], []),
        ([], []),
    ],
)
def test_what_an_explosion_is(hours: list[NewHour], found: list[int]) -> None:
    assert [one.at.users for one in explosions(hours)] == found


def test_ids_that_change_within_conversations_are_a_keys() -> None:
    changing = [hour(at, 50, going_on=20, key="bad") for at in range(3)]
    seldom = [hour(at, 1000, going_on=2, key="good") for at in range(3)]

    assert under_many_ids([*changing, *seldom]) == changing
    assert under_many_ids([hour(1, 10, going_on=4)]) == []
