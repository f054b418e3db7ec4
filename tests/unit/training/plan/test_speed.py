"""Pictures per second and days, from steps that were timed and from FLOPs."""

from __future__ import annotations

import pytest

from tests.helpers.readings import reading
from textdiff.training.plan.gpus import GPUS
from textdiff.training.plan.line import Estimate
from textdiff.training.plan.speed import days, estimated_speed, measured_speed


def test_a_step_takes_a_time_of_its_own_and_one_for_each_picture():
    """0.2 s and 0.05 s for each: 64 pictures in 3.4 s, two such passes in a step."""
    readings = [reading(b, seconds=0.2 + 0.05 * b) for b in (2, 8)]
    assert measured_speed(*readings, batch=64, passes=1).value == pytest.approx(64 / 3.4)
    assert measured_speed(*readings, batch=64, passes=2).value == pytest.approx(128 / 3.4)


def test_a_gpu_does_a_share_of_its_peak():
    speed = estimated_speed(GPUS["l4"], flops_per_image=121e9, utilisation=0.2, gpus=4)
    assert speed.value == pytest.approx(800)
    assert speed.low == pytest.approx(400)


def test_days():
    found = days(86_400 * 30, Estimate(10.0, 1.0))
    assert (found.value, found.error) == pytest.approx((3.0, 0.3))
