"""Charts: where marks stand, and what is said of them."""

import pytest

from social_learning.report.curves import HEIGHT, Series, chart_of


def test_marks_stand_where_their_values_are() -> None:
    ours = Series("ours", 1, False, [(8, 90.0, 2.5), (1, 70.0, None)])
    chart = chart_of("sms", [ours, Series("paper's", 1, True, [(1, 80.0, None), (16, 85.0, None)])])
    assert chart is not None
    assert [text for _, text in chart.across] == ["1", "8", "16"]
    assert [place for place, _ in chart.across] == [0, 50, 100]
    # A point is HEIGHT / 30 pixels high on an axis from 70 to 100.
    assert chart.down == ((HEIGHT, "70"), (146.67, "80"), (73.33, "90"), (0, "100"))
    first, second = chart.curves[0].marks
    assert (first.x, first.y, first.bar) == (0, HEIGHT, None)
    assert (second.x, second.y) == (50, 73.33)
    assert second.bar == (55.0, 91.67)
    assert chart.curves[0].lines == ((0, HEIGHT, 50, second.y),)
    assert chart.description == "ours: 70.0 at 1, 90.0 at 8 (± 2.5); paper's: 80.0 at 1, 85.0 at 16"


def test_an_error_bar_never_leaves_the_chart() -> None:
    chart = chart_of("t", [Series("ours", 0, False, [(1, 99.0, 5.0), (2, 1.0, 5.0)])])
    assert chart is not None
    assert [mark.bar for mark in chart.curves[0].marks] == [(0, 13.2), (206.8, HEIGHT)]


def test_an_axis_of_more_than_50_points_has_a_tick_every_20() -> None:
    chart = chart_of("t", [Series("ours", 0, False, [(1, 99.0, None), (2, 31.0, None)])])
    assert chart is not None
    assert [text for _, text in chart.down] == ["30", "50", "70", "90"]


@pytest.mark.parametrize("values", [[], [(8, 50.0, None)]])
def test_there_is_no_curve_over_one_number_of_shots(values: list[tuple[int, float, float | None]]) -> None:
    assert chart_of("t", [Series("ours", 0, False, values)]) is None
