"""When a loss has risen, and when no more steps may be left out."""

from __future__ import annotations

import json
import random

import pytest

from textdiff.training.health import IN_A_ROW, WINDOW, Health


def seen(*losses: float) -> Health:
    health = Health()
    for loss in losses:
        health.see(loss)
    return health


def noisy(level: float, steps: int) -> list[float]:
    draw = random.Random(0)
    return [level * draw.uniform(0.3, 1.7) for _ in range(steps)]


@pytest.mark.parametrize("offset", [0.0, -2.0], ids=["positive", "below zero too"])
def test_a_loss_that_falls_and_is_noisy_has_not_risen(offset):
    losses = [1.0, *noisy(0.5, 100), *noisy(0.1, 500)]
    assert not seen(*(loss + offset for loss in losses)).rose


def test_one_that_never_falls_has_not_risen():
    assert not seen(*[1.0, *noisy(1.0, 500)]).rose


@pytest.mark.parametrize("before", [1, 500])
@pytest.mark.parametrize("offset", [0.0, -2.0], ids=["positive", "below zero too"])
def test_one_that_explodes_has_risen_within_a_few_steps(before, offset):
    losses = [1.0, *noisy(0.1, before), *[1e6] * 2]
    assert seen(*(loss + offset for loss in losses)).rose


def test_one_that_gives_back_what_it_gained_has_risen():
    losses = [1.0, *noisy(0.05, 200), *noisy(1.0, 3 * WINDOW)]
    assert seen(*losses).rose


def test_it_comes_back_from_json():
    health = seen(*noisy(0.2, 50))
    health.skip()
    same = Health()
    same.fill(json.loads(json.dumps(health.to_json())))
    assert same == health


def test_a_checkpoint_of_before_knows_nothing():
    health = Health()
    health.fill({})
    assert health == Health()
    assert not health.rose


def test_steps_in_a_row_and_in_all_have_a_budget():
    health = Health()
    for _ in range(IN_A_ROW):
        health.skip()
        assert health.over(10) == ""
    health.see(1.0)
    for _ in range(7):
        health.skip()
        health.see(1.0)
    assert health.over(10) == ""
    health.skip()
    assert health.over(10) == "steps that were not finite: 11 in all"


def test_one_more_in_a_row_is_too_many():
    health = Health()
    for _ in range(IN_A_ROW + 1):
        health.skip()
    assert health.over(10) == "steps that were not finite: 4 in a row"


def test_a_budget_of_none_allows_none():
    health = Health()
    health.skip()
    assert health.over(0)
