"""Curves as shapes."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textdiff.evaluation.report.plot import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MOST_POINTS,
    RIGHT,
    TOP,
    WIDTH,
    Curve,
    linear_ticks,
    log_ticks,
    plot,
    short,
    smoothed,
    thinned,
)

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)
POINTS = st.lists(st.tuples(st.integers(0, 10**7), NUMBERS), min_size=1, max_size=40)


def coordinates(path: str) -> list[tuple[float, float]]:
    pairs = re.findall(r"(-?[\d.]+(?:e[-+]?\d+)?),(-?[\d.]+(?:e[-+]?\d+)?)", path)
    return [(float(x), float(y)) for x, y in pairs]


@given(POINTS, st.booleans())
def test_all_of_a_curve_lies_in_the_box(points, log):
    drawn = plot([Curve("a", sorted(points))], log)
    (line,) = drawn.lines
    assert len(coordinates(line.path)) == len(points)
    for x, y in coordinates(line.path):
        assert LEFT - 0.1 <= x <= WIDTH - RIGHT + 0.1
        assert TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1
    for tick in drawn.y_ticks:
        assert TOP - 0.1 <= tick.at <= HEIGHT - BOTTOM + 0.1


def test_larger_values_stand_higher_and_later_steps_to_the_right():
    (line,) = plot([Curve("a", [(0, 1.0), (10, 3.0), (20, 2.0)])]).lines
    (x0, y0), (x1, y1), (x2, y2) = coordinates(line.path)
    assert x0 < x1 < x2
    assert y1 < y2 < y0
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert line.dots == [(x0, y0), (x1, y1), (x2, y2)]


def test_logarithms_put_equal_factors_equally_far_apart():
    (line,) = plot([Curve("a", [(0, 1.0), (1, 0.1), (2, 0.01)])], log=True).lines
    y = [y for _, y in coordinates(line.path)]
    assert y[1] - y[0] == pytest.approx(y[2] - y[1], abs=0.2)


def test_a_value_of_zero_has_no_logarithm_so_none_is_taken():
    drawn = plot([Curve("a", [(0, 0.0), (1, 1.0)])], log=True)
    assert "0" in [tick.label for tick in drawn.y_ticks]


def test_curves_of_one_name_have_one_colour():
    curves = [Curve("a", [(0, 1)], faint=True), Curve("a", [(0, 1)]), Curve("b", [(0, 1)])]
    assert [line.colour for line in plot(curves).lines] == [0, 0, 1]


def test_the_axis_of_steps_starts_at_0_and_reaches_as_far_as_told():
    (line,) = plot([Curve("a", [(50, 1.0)])], until=100).lines
    assert coordinates(line.path)[0][0] == (LEFT + WIDTH - RIGHT) / 2


def test_nothing_to_plot():
    with pytest.raises(ValueError, match="no points"):
        plot([Curve("a", [])])


@given(NUMBERS, st.floats(1e-6, 1e9))
def test_linear_ticks_are_even_and_few(low, length):
    ticks = linear_ticks(low, low + length)
    assert len(ticks) <= 8
    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    assert all(gap == pytest.approx(gaps[0], rel=1e-3) for gap in gaps)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.001, 1, [0.001, 0.01, 0.1, 1]), (0.1, 1.2, [0.1, 0.2, 0.5, 1]), (0.5, 0.56, None)],
)
def test_log_ticks(low, high, expected):
    ticks = log_ticks(low, high)
    assert len(ticks) >= 2
    if expected:
        assert ticks == pytest.approx(expected)


def test_thinning_keeps_means():
    points = [(k, float(k)) for k in range(10 * MOST_POINTS)]
    few = thinned(points)
    assert len(few) == MOST_POINTS
    assert few[0] == (4.5, 4.5)
    assert thinned(points[:3]) == points[:3]


def test_smoothing_keeps_a_line_and_the_ends():
    points = [(k, 2.0 * k) for k in range(50)]
    assert smoothed(points) == [(k, pytest.approx(2.0 * k)) for k in range(50)]
    jagged = [(k, float(k % 2)) for k in range(50)]
    inner = [value for _, value in smoothed(jagged, 0.4)[10:40]]
    assert max(inner) - min(inner) < 0.1
    assert math.isclose(smoothed(jagged)[-1][1], 1.0)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (2000, "2000"),
        (20000, "20k"),
        (12345, "12.3k"),
        (0.05, "0.05"),
        (1e-6, "1e-6"),
        (2e7, "2e7"),
        (-0.5, "-0.5"),
    ],
)
def test_short_numbers(value, text):
    assert short(value) == text
