"""The parts of a sweep's run: its settings and its prompts."""

from __future__ import annotations

import pytest

from textdiff.data import DataConfig, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.guidance import run
from textdiff.evaluation.guidance.sweep import Scales
from textdiff.pipeline.config import SamplingConfig


def test_each_pair_of_scales_is_drawn_once():
    pairs = [Scales(1, 0), Scales(3, 0), Scales(1, 2), Scales(3, 2)]
    assert run.scale_grid([1, 3, 1], [0, 2, 0]) == pairs


def test_settings_are_planned_at_their_scales(pipe):
    plans = run.plan_settings(pipe, ["a", "b"], SamplingConfig(num_steps=7), [Scales(3.0, 2.0)])
    plan = plans[Scales(3.0, 2.0)]
    assert (plan.config.guidance_scale, plan.config.clip_guidance.scale) == (3.0, 2.0)
    assert (len(plan.grid), plan.prompts, plan.guide) == (7, ("a", "b"), pipe.clip)


def test_one_prompt_is_too_few(shapes):
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    run.check_prompts(["a", "b"], data)
    with pytest.raises(UsageError, match=f"split train of {shapes} has 1 caption .* another --spl"):
        run.check_prompts(["a"], data)


def test_pictures_of_one_prompt_stand_together():
    assert run.repeat_each(["a", "b"], 2) == ["a", "a", "b", "b"]
