"""The parts of a sweep's run: its settings."""

from __future__ import annotations

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
