"""What the report on ids finds, whom it touches, and that it shows nobody's id."""

from regulars.identity.classify import classify
from regulars.identity.forms import folded
from regulars.reports.identifiers import Found, SeenUser, identifiers, masked


def seen(name: str | None, requests: int = 10, *, cached: int = 50) -> SeenUser:
    figures = (requests, requests * 7, 100, cached)
    if name is None:
        return SeenUser(None, "", (), "", *figures)
    traits = classify(name)
    return SeenUser(name, traits.form, tuple(traits.findings), folded(name), *figures)


def finding(name: str, users: list[SeenUser]) -> Found | None:
    return next((one for one in identifiers(users).found if one.finding == name), None)


GOOD = [seen(f"user_{number}") for number in range(100, 140)]


def test_good_ids_raise_nothing() -> None:
    report = identifiers(GOOD)

    assert report.found == ()
    assert report.forms == (("user_number", 40),)
    assert report.cached_share == 0.5
    assert identifiers([]).found == ()


def test_requests_without_a_user_are_counted() -> None:
    found = finding("no-user", [*GOOD, seen(None, 100)])

    assert found is not None
    assert (found.users, found.requests_share) == (0, 0.2)


def test_each_kind_of_bad_id_is_found_and_masked() -> None:
    bad = {
        "personal": "jane@example.com",
        "unstable": "req_8f7a6b5c4d",
        "placeholder": "undefined",
        "spacing": " user_7",
    }
    report = identifiers([*GOOD, *map(seen, bad.values())])

    names = {one.finding for one in report.found}
    shown = " ".join(example for one in report.found for example in one.examples)
    assert names >= bad.keys()
    assert not any(name in shown for name in bad.values())
    assert all(one.fix for one in report.found)


def test_ids_that_nobody_comes_back_with_are_found() -> None:
    once = [seen(f"{number:08x}-0000-4000-8000-000000000000", 1, cached=0) for number in range(20)]
    found = finding("seen-once", [*GOOD, *once])

    assert found is not None
    assert (found.users, found.cached_share) == (20, 0.0)
    assert finding("seen-once", [*GOOD, *once[1:]]) is None


def test_people_who_came_once_are_no_finding() -> None:
    rare = [seen(f"user_{number}", 1) for number in range(200, 260)]

    assert finding("seen-once", [*GOOD, *rare]) is None


def test_seconds_since_1970_are_found_among_numbers_when_they_change() -> None:
    numbers = [seen(f"{number}") for number in range(5_000_000, 5_000_200)]
    times = [seen(f"{number}", 1) for number in range(1_732_300_000, 1_732_300_030)]

    found = finding("seen-once", [*numbers, *times])

    assert found is not None
    assert found.users == 30
    assert finding("seen-once", [*numbers, seen("1732300000", 1)]) is None


def test_codes_that_are_the_same_but_for_case_by_chance_are_no_finding() -> None:
    assert finding("same-but-for-case", [*GOOD, seen("aB3x"), seen("AB3x")]) is None


def test_ids_that_differ_by_case_are_found_together() -> None:
    found = finding("same-but-for-case", [*GOOD, seen("ada.l"), seen("Ada.L")])

    assert found is not None
    assert found.users == 2


def test_outliers_of_one_main_form_are_found() -> None:
    found = finding("mixed-forms", [*GOOD, seen("cust-1")])

    assert found is not None
    assert found.examples == ("cu…1",)
    assert finding("mixed-forms", [*GOOD, *[seen(f"cust-{n}") for n in range(9, 49)]]) is None


def test_short_ids_are_masked_too() -> None:
    assert [masked(name) for name in ("a", "abcd", "abcdefghij")] == ["…", "a…", "abc…j"]


def test_what_a_finding_costs_in_warmth_is_told_against_users_without_any() -> None:
    cold = finding("personal", [*GOOD, seen("jane@example.com", cached=10)])
    warm = finding("personal", [*GOOD, seen("jane@example.com", cached=90)])

    assert cold is not None
    assert warm is not None
    assert (cold.cold_tokens, warm.cold_tokens) == (40, 0)
