"""A line through two readings: where it goes, and how far it may be off."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textdiff.training.plan.line import Line, Reading

value = st.floats(0, 1e6)
error = st.floats(0, 1e3)


@given(value, st.floats(0, 1e3), st.integers(1, 500))
def test_a_straight_line_is_carried_on(start, slope, batch):
    readings = [Reading(b, start + slope * b, 0.0) for b in (2, 7)]
    line = Line(*readings, least=0.0)
    assert line.at(batch).value == pytest.approx(start + slope * batch, abs=1e-6 * (1 + start))


@given(value, value, error, error, st.integers(1, 500))
def test_the_error_is_that_of_independent_readings(one, other, first, second, batch):
    line = Line(Reading(2, one, first), Reading(6, other, second), least=0.0)
    share = (batch - 2) / 4
    expected = math.hypot((1 - share) * first, share * second)
    assert line.at(batch).error == pytest.approx(expected)


def test_readings_that_fall_count_as_flat_at_the_larger_batch():
    line = Line(Reading(2, 10.0, 0.0), Reading(4, 8.0, 0.0), least=0.1)
    assert (line.slope, line.at(100).value, line.at(100).error) == (0.0, 8.0, 0.8)
