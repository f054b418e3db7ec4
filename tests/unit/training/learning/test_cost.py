"""An examination takes no more than its share of the samples trained on in between."""

from __future__ import annotations

import pytest

from textdiff.training.learning.cost import FORWARD, PASSES_OF_TRAINING, SHARE, affordable


@pytest.mark.parametrize("every", [1, 7, 100, 500, 5000])
@pytest.mark.parametrize("rows", [1, 16, 512])
def test_the_share_is_kept(every, rows):
    steps = range(every, 200_000, every)
    examined = [step for step in steps if affordable(step, every, rows)]
    samples = rows * (max(examined, default=0) or 1)
    assert len(examined) * FORWARD / PASSES_OF_TRAINING <= SHARE * samples * 1.0001
    assert len(examined) > 0.3 * min(len(steps), SHARE * 200_000 * rows * 3 / FORWARD) - 1


def test_evaluations_far_apart_examine_each_time():
    assert all(affordable(step, 500, 16) for step in range(500, 5000, 500))
