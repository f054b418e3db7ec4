"""An examination takes no more than its share of the samples trained on in between."""

from __future__ import annotations

import itertools

import pytest

from textdiff.training.learning.cost import FORWARD, PASSES_OF_TRAINING, SHARE, affordable


@pytest.mark.parametrize("every", [1, 7, 100, 500, 5000])
@pytest.mark.parametrize("rows", [1, 16, 512])
def test_the_share_is_kept_and_used(every, rows):
    examined = [step for step in range(0, 100_001, every) if step and affordable(step, every, rows)]
    for number, step in enumerate(examined, 1):
        assert number * FORWARD / PASSES_OF_TRAINING <= SHARE * step * rows * 1.0001
    most = FORWARD / PASSES_OF_TRAINING / SHARE / rows + 1 + every  # steps from one to the next
    assert all(after - before <= most for before, after in itertools.pairwise([0, *examined]))


def test_evaluations_far_apart_examine_each_time():
    assert all(affordable(step, 500, 16) for step in range(500, 5000, 500))
