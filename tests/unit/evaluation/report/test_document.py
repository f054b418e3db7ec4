"""A number between what chance and what real pictures give."""

from __future__ import annotations

import pytest

from textdiff.evaluation.report.document import Missing, Report, Row, Section
from textdiff.metrics.bootstrap import Estimate


def row(value: float, low: float, high: float, floor=None, ceiling=None) -> Row:
    return Row("R@1", "", Estimate(value, low, high, 0.95, 1000), ".1%", floor, ceiling)


def test_a_bar_goes_from_floor_to_ceiling():
    bar = row(0.5, 0.4, 0.6, floor=0.2, ceiling=0.8).bar
    assert (bar.low, bar.value, bar.high) == pytest.approx((100 / 3, 50, 200 / 3))


def test_a_bar_of_a_distance_runs_the_same_way():
    bar = row(2.0, 1.0, 4.0, floor=10.0, ceiling=0.0).bar
    assert (bar.low, bar.value, bar.high) == pytest.approx((60, 80, 90))


def test_a_bar_ends_at_both_ends():
    bar = row(0.95, 0.0, 1.0, floor=0.1, ceiling=0.9).bar
    assert (bar.low, bar.value, bar.high) == (0, 100, 100)


@pytest.mark.parametrize(("floor", "ceiling"), [(None, 1), (0, None), (0.5, 0.5)])
def test_no_bar_without_two_ends(floor, ceiling):
    assert row(0.5, 0.4, 0.6, floor, ceiling).bar is None


def test_numbers_as_they_are_shown():
    each = row(0.5, 0.4, 0.6, floor=0.0)
    assert each.shown(each.estimate.value) == "50.0%"
    assert each.interval == "40.0% to 60.0%"
    assert (each.shown(each.floor), each.shown(each.ceiling)) == ("0.0%", "")


def test_what_is_missing_is_gathered_with_its_section():
    missing = Missing("Curves", "no log")
    sections = [Section("a", "A", "", []), Section("b", "B", "", [missing])]
    assert Report("run", [], [], sections, "1").missing == [(sections[1], missing)]
