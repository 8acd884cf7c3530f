from hypothesis import given
from hypothesis import strategies as st

from regulars.model.generation import Attempt
from regulars.stores.base import SeriesPoint, Sums
from regulars.web.charts import StackedChart, bar_totals, sparkline, stacked, waterfall
from regulars.web.numbers import compact
from regulars.web.periods import DAY_US, HOUR_US, Window, custom, cut, recent

DAY = cut((0, DAY_US), "hour", HOUR_US, words="24 hours")


def point(hour: int, group: str | None, requests: int) -> SeriesPoint:
    return SeriesPoint(hour * HOUR_US, group, Sums(requests=requests, cost_nanousd=requests))


def draw(points: list[SeriesPoint], window: Window = DAY) -> StackedChart:
    return stacked(points, window, measure=lambda sums: sums.requests, write=compact)


def number(percent: str) -> float:
    return float(percent.removesuffix("%"))


def test_layers_go_from_the_largest_and_other_is_last() -> None:
    chart = draw([point(0, "small", 1), point(1, "Other", 50), point(1, "large", 9)])

    assert [layer.name for layer in chart.layers] == ["large", "small", "Other"]
    assert [layer.total for layer in chart.layers] == [9, 1, 50]
    assert chart.total == 60


def test_segments_stack_without_gap_or_overlap() -> None:
    chart = draw([point(3, "a", 30), point(3, "b", 10)])

    lower, upper = chart.layers[0].segments[0], chart.layers[1].segments[0]
    assert abs(number(lower.y) + number(lower.height) - 100) < 0.02
    assert abs(number(upper.y) + number(upper.height) - number(lower.y)) < 0.02


def test_grid_is_round_and_covers_the_highest_bar() -> None:
    chart = draw([point(0, "a", 451)])

    assert [tick.text for tick in chart.y_ticks] == ["200", "400", "600"]


def test_points_outside_the_window_are_left_out() -> None:
    chart = draw([point(-1, "a", 5), point(24, "a", 5), point(23, "a", 2)])

    assert chart.total == 2


def test_nothing_is_an_empty_chart_with_all_its_slots() -> None:
    chart = draw([])

    assert (chart.layers, len(chart.slots), chart.total) == ((), 24, 0)


@given(
    st.lists(st.tuples(st.integers(0, 23), st.none() | st.text(max_size=3), st.integers(0, 10**15)))
)
def test_layers_slots_and_totals_always_agree(rows: list[tuple[int, str | None, int]]) -> None:
    points = [point(hour, group, count) for hour, group, count in rows]

    chart = draw(points)

    assert chart.total == sum(count for _, _, count in rows)
    assert sum(layer.total for layer in chart.layers) == chart.total
    assert [slot.total for slot in chart.slots] == [
        sum(column) for column in zip(*(layer.values for layer in chart.layers), strict=True)
    ] or not chart.layers
    assert all(number(piece.y) >= -0.01 for layer in chart.layers for piece in layer.segments)


def test_every_period_has_few_labels_on_its_axis() -> None:
    now_us = 1_795_366_800_123_456
    windows = [recent(slug, now_us) for slug in ("1h", "24h", "7d", "30d", "90d", "1y")]
    dated = custom("2026-01-01", "2026-11-01")
    assert dated is not None

    labels = [len(draw([], window).x_ticks) for window in [*windows, dated]]

    assert all(3 <= count <= 13 for count in labels), labels


def test_sparkline_of_nothing_is_flat() -> None:
    assert sparkline([0, 0]).points == "0.0,96.0 100.0,96.0"
    assert sparkline([]).points == ""
    assert sparkline([5]).points == "0.0,4.0"


def test_bar_totals_fold_steps_into_bars() -> None:
    folded = cut((0, DAY_US), "hour", 6 * HOUR_US, words="1 day")

    totals = bar_totals([point(0, "a", 1), point(5, "b", 2), point(6, "a", 4)], folded, _requests)

    assert totals == [3, 4, 0, 0]


def test_waterfall_keeps_spans_on_the_line_and_visible() -> None:
    attempts = [
        Attempt("e", "p", "cold", 503, "timeout", 0.0, 25.0),
        Attempt("f", "q", "failover", 200, None, 25.0, 75.0),
        Attempt("g", "r", "failover", None, "timeout", 100.0, 0.0),
    ]

    spans = waterfall(attempts, 100.0)

    assert [(span.x, span.width) for span in spans] == [
        ("0%", "25%"),
        ("25%", "75%"),
        ("99.5%", "0.5%"),
    ]
    assert waterfall(attempts[2:], 0.0)[0].width == "0.5%"


def _requests(sums: Sums) -> int:
    return sums.requests
