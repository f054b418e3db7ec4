"""The parts of a sweep's run: its settings, its prompts, and what is found before long work."""

from __future__ import annotations

import pytest

from textdiff.data import DataConfig, open_data
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.guidance import run
from textdiff.evaluation.guidance.protocol import split_sampling
from textdiff.evaluation.guidance.settings import GuidanceSettings
from textdiff.evaluation.guidance.sweep import Scales
from textdiff.pipeline.config import ClipGuidanceConfig, SamplingConfig


def test_each_pair_of_scales_is_drawn_once():
    pairs = [Scales(1, 0), Scales(3, 0), Scales(1, 2), Scales(3, 2)]
    assert run.scale_grid([1, 3, 1], [0, 2, 0]) == pairs


def test_scales_are_those_of_sampling():
    settings = GuidanceSettings(model="m", judges=["a", "b"], num_steps=7)
    config = run.at_scales(settings, Scales(3.0, 2.0))
    assert (config.guidance_scale, config.clip_guidance.scale, config.num_steps) == (3.0, 2.0, 7)


def test_one_prompt_is_too_few(shapes):
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    run.check_prompts(["a", "b"], data)
    with pytest.raises(UsageError, match=f"split train of {shapes} has 1 caption .* another --spl"):
        run.check_prompts(["a"], data)


def test_pictures_of_one_prompt_stand_together():
    assert run.repeat_each(["a", "b"], 2) == ["a", "a", "b", "b"]


def test_a_wrong_model_is_found_before_data(monkeypatch):
    opened = []
    monkeypatch.setattr(run, "open_data", lambda *_: opened.append(_))
    with pytest.raises(CheckpointError):
        run.run_sweep(GuidanceSettings(model="nowhere", judges=["a", "b"]))
    assert opened == []


def test_settings_of_clip_guidance_stand_apart_and_scales_nowhere():
    clip_guidance = ClipGuidanceConfig(normalise=True, every=2, scale=3)
    config = SamplingConfig(clip_guidance=clip_guidance, guidance_scale=2, seed=4)
    sampling, clip = split_sampling(config)
    assert (sampling["seed"], clip["clip_normalise"], clip["clip_guidance_every"]) == (4, True, 2)
    assert {"guidance_scale", "clip_guidance_scale"}.isdisjoint({*sampling, *clip})
    assert all(name.startswith("clip_") for name in clip)
    assert not any(name.startswith("clip_") for name in sampling)
