"""The protocol of a sweep."""

from __future__ import annotations

from textdiff.evaluation.guidance.protocol import split_sampling
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.sections import ClipGuidanceConfig


def test_settings_of_clip_guidance_stand_apart_and_scales_nowhere():
    clip_guidance = ClipGuidanceConfig(normalise=True, every=2, scale=3)
    config = SamplingConfig(clip_guidance=clip_guidance, guidance_scale=2, seed=4)
    sampling, clip = split_sampling(config)
    assert (sampling["seed"], clip["clip_normalise"], clip["clip_guidance_every"]) == (4, True, 2)
    assert {"guidance_scale", "clip_guidance_scale"}.isdisjoint({*sampling, *clip})
    assert all(name.startswith("clip_") for name in clip)
    assert not any(name.startswith("clip_") for name in sampling)
