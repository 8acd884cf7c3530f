"""The holdout comparison as the routing page draws it."""

from regulars.reports.worth import Arm, Estimate, Worth
from regulars.stores.base import Filter
from regulars.web.view import View
from regulars.web.worth import KEPT_MAX, KEPT_S, Comparisons, comparison, whisker

STICKY = Arm(20, 200, 100_000, 0.8, 0.0002)
HOLDOUT = Arm(10, 100, 50_000, 0.5, 0.0004)
WORTH = Worth(STICKY, HOLDOUT, Estimate(0.3, 0.25, 0.35), Estimate(0.0002, -0.0001, 0.0005))
NOBODY = Arm(0, 0, 0, None, None)


def percent(text: str) -> float:
    return float(text.removesuffix("%"))


def test_rows_tell_each_kind_and_estimates_their_interval() -> None:
    found = comparison(WORTH, whole=True)

    assert [(row.title, row.users, row.nanousd_per_million) for row in found.rows] == [
        ("Sticky", 20, 200_000_000),
        ("Holdout", 10, 400_000_000),
    ]
    assert [one.words for one in found.whiskers] == [
        "+30.0 points (+25.0 to +35.0)",
        "$0.2000 (−$0.1000 to $0.5000)",  # noqa: RUF001 - a minus as people write it
    ]
    assert [one.good for one in found.whiskers] == [True, False]


def test_a_whisker_keeps_zero_and_its_interval_on_the_line_in_order() -> None:
    drawn = whisker("", Estimate(3.0, -1.0, 4.0), "")

    low, at = percent(drawn.low), percent(drawn.at)
    assert 0 < low < percent(drawn.zero) < at < low + percent(drawn.width) < 100


def test_no_holdout_has_no_whiskers() -> None:
    found = comparison(Worth(STICKY, NOBODY, None, None), whole=True)

    assert (found.has_holdout, found.whiskers) == (False, ())


def test_an_answer_is_kept_for_a_while_and_only_a_few_are() -> None:
    now, asked = [0.0], list[Filter]()

    def compare(where: Filter) -> tuple[Worth, bool]:
        asked.append(where)
        return WORTH, True

    comparisons = Comparisons(compare, lambda: now[0])
    where = Filter("default", user="one")

    comparisons.of(View(), where)
    comparisons.of(View(metric="tokens"), where)
    assert [one.user for one in asked] == [None]
    now[0] = KEPT_S + 1
    comparisons.of(View(), where)
    assert len(asked) == 2
    for year in range(KEPT_MAX):
        comparisons.of(View(period="custom", from_=f"20{year:02}-01-01"), where)
    comparisons.of(View(), where)
    assert len(asked) == 2 + KEPT_MAX + 1
