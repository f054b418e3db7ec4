"""Differences between settings: which baselines, in pairs."""

from __future__ import annotations

import pytest

from tests.helpers.sweeps import EARLY, setting, sweep, sweep_of_choices
from textdiff.evaluation.guidance.differences import (
    ALONE,
    SAME_COST,
    UNGUIDED,
    WITHOUT_CLIP,
    baselines,
    with_differences,
)
from textdiff.evaluation.guidance.sweep import Scales


@pytest.mark.parametrize(
    ("scales", "expected"),
    [
        (Scales(1, 0), {}),
        (Scales(3, 0), {UNGUIDED: Scales(1, 0)}),
        (Scales(1, 2), {UNGUIDED: Scales(1, 0), WITHOUT_CLIP: Scales(1, 0)}),
        (Scales(3, 2), {UNGUIDED: Scales(1, 0), WITHOUT_CLIP: Scales(3, 0)}),
        (
            Scales(3, 0, EARLY),
            {
                UNGUIDED: Scales(1, 0),
                ALONE: Scales(3, 0),
                SAME_COST: Scales(3, 0, num_steps=6),
            },
        ),
    ],
)
def test_baselines(scales, expected):
    assert baselines(scales) == expected


def test_a_difference_is_of_the_same_prompts_and_resamples():
    *_, both = sweep().settings
    found = both.differences[WITHOUT_CLIP]
    assert found.at_1.value == pytest.approx(0.8 - 0.4)
    assert (found.at_1.low, found.at_1.high) == pytest.approx((0.4, 0.4))  # alike in all prompts
    assert found.kid.value == pytest.approx(0.4 - 0.2)
    assert (found.kid.low, found.kid.high) == pytest.approx((0.2, 0.2))


def test_a_choice_is_compared_at_its_own_cost():
    """Each of the two with its own rival."""
    _, _, early, _, final = sweep_of_choices().settings
    for each, alone in ((early, 0.3 - 0.1), (final, 0.5 - 0.1)):
        assert list(each.differences) == [ALONE, SAME_COST]
        assert each.differences[ALONE].at_1.value == pytest.approx(alone)
        assert each.differences[SAME_COST].at_1.value == pytest.approx(0.1)


def test_a_baseline_that_comes_later():
    (guided,) = with_differences([setting(Scales(3, 0))])
    assert guided.differences == {}
    again, unguided = with_differences([guided, setting(Scales(1, 0))])
    assert list(again.differences) == [UNGUIDED]
    assert unguided.differences == {}


def test_differences_that_are_known_stay():
    found = sweep().settings
    assert with_differences(found) == found
