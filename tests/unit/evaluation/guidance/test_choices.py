"""Best of N in a sweep: who chooses, what it is compared with, what that costs."""

from __future__ import annotations

import pytest

from tests.helpers.noised import noised_clip
from textdiff.errors import UsageError
from textdiff.evaluation.evaluators import load_evaluators
from textdiff.evaluation.guidance.choices import (
    choice_grid,
    config_of,
    find_choosers,
    involved_choosers,
    network_evaluations,
    rival_steps,
)
from textdiff.evaluation.guidance.sweep import Choice, Scales
from textdiff.pipeline.config import SamplingConfig

CONFIG = SamplingConfig(num_steps=8)


@pytest.fixture(scope="module")
def noised(tiny_clip, tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("noised")
    noised_clip(tiny_clip).save(folder)
    noised_clip(tiny_clip).clean().save(folder / "clean")
    return str(folder)


@pytest.fixture
def choosers(pipe, tiny_clip, noised):
    """A clean CLIP that chooses at the end, a noised one that halves after half of the steps."""
    return find_choosers(
        pipe,
        final=[str(tiny_clip), str(tiny_clip)],
        early=[noised],
        keep_after=[0.5],
        best_of=[2, 4],
        config=CONFIG,
    )


def test_choosers_stand_once_each(choosers, tiny_clip, noised):
    found = [(each.name, each.keep_after) for each in choosers]
    assert found == [(str(tiny_clip), ()), (noised, (0.5,))]


def test_each_choice_stands_behind_guidance_alone_at_its_cost(pipe, choosers, tiny_clip, noised):
    found = choice_grid(pipe, CONFIG, [1, 3], [2, 4], choosers)
    # 2 candidates in 8 steps; a half of them from the fourth on; the same of 4
    steps = {(2, "clean"): 16, (2, "noised"): 12, (4, "clean"): 32, (4, "noised"): 24}
    expected = [
        (guidance, count, reads, steps[count, reads])
        for guidance in (1, 3)
        for count in (2, 4)
        for reads in ("clean", "noised")
    ]
    choices = [each for each in found if each.choice is not None]
    assert [
        (each.guidance, each.choice.best_of, each.choice.reads.split()[0], each.choice.rival_steps)
        for each in choices
    ] == expected
    for each in choices:
        rival = Scales(each.guidance, 0, num_steps=each.choice.rival_steps)
        assert found.index(rival) < found.index(each)
        assert network_evaluations(pipe, CONFIG, rival) == network_evaluations(pipe, CONFIG, each)
    assert {each.choice.judge for each in choices} == {str(tiny_clip), noised}


@pytest.mark.parametrize("cost", [16, 17, 45, 100])
def test_a_rival_costs_no_less_and_no_step_too_many(pipe, cost):
    """Inside an interval guidance takes two evaluations a step, so no division gives the steps."""
    config = CONFIG.model_copy(update={"guidance_interval": (0, 30)})
    steps = rival_steps(pipe, config, 3.0, cost)
    at_cost, one_less = (
        network_evaluations(pipe, config, Scales(3.0, 0, num_steps=count))
        for count in (steps, steps - 1)
    )
    assert one_less < cost <= at_cost


def test_a_rival_has_no_more_steps_than_the_schedule(pipe):
    assert rival_steps(pipe, CONFIG, 1.0, 10**6) == pipe.schedule.num_timesteps


def test_settings_of_a_choice(noised):
    choice = Choice(4, noised, "noised CLIP", "abc", (0.5,), 24)
    found = config_of(CONFIG, Scales(3, 0, choice))
    assert (found.guidance_scale, found.num_steps) == (3, 8)
    selection = found.selection
    assert (selection.best_of, selection.judge, selection.keep_after) == (4, noised, (0.5,))
    rival = config_of(CONFIG, Scales(3, 0, num_steps=24))
    assert (rival.num_steps, rival.selection.best_of) == (24, 1)


def test_timesteps_one_by_one_leave_a_rival_none_to_add(pipe, choosers):
    config = SamplingConfig(timesteps=[90, 50, 10])
    with pytest.raises(UsageError, match=r"timesteps with best_of: .*; give num_steps"):
        choice_grid(pipe, config, [1], [2], choosers)


def test_who_chooses_may_not_evaluate(choosers, noised):
    involved = involved_choosers(choosers)
    with pytest.raises(UsageError, match=r"is the CLIP that chooses among candidates, .*; give"):
        load_evaluators("--judges", [f"{noised}/clean"], "cpu", involved)
