"""Thresholds: the range they keep, Imagen's rule as diffusers has it, and eps that agrees."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler
from torch import Tensor

from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.prediction import from_x_0
from textdiff.sampling.score import score_form
from textdiff.sampling.threshold import (
    dynamic_threshold,
    gradient_threshold,
    static_threshold,
)
from textdiff.types import Prediction

SCHEDULE, TIMESTEP = NoiseSchedule.linear(1000), torch.tensor([500, 500])
X_T = torch.full((2, 1, 8, 8), 0.3, dtype=torch.float64)
MIX = torch.rand(X_T.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
# the first image leaves the range, the second keeps it
WILD = torch.randn(X_T.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
WILD[1] = WILD[1].clamp(-0.9, 0.9)


def saying(x_0: Tensor):
    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        said = from_x_0(SCHEDULE, x_0, x_t, timestep)
        return Prediction(said.x_0, said.eps, MIX)

    return denoise


BOTH = {"static": static_threshold, "dynamic": dynamic_threshold}


@pytest.mark.parametrize(("said", "kept"), [(-3, -1), (-1, -1), (0.5, 0.5), (1.001, 1)])
def test_static_clips(said, kept):
    found = static_threshold(saying(torch.full_like(X_T, said)), SCHEDULE)(X_T, TIMESTEP)
    assert (found.x_0 == kept).all()


@pytest.mark.parametrize("percentile", [0.5, 0.9, 0.995, 1.0])
def test_dynamic_agrees_with_diffusers(percentile):
    theirs = DDIMScheduler(
        thresholding=True, dynamic_thresholding_ratio=percentile, sample_max_value=1e6
    )
    expected = theirs._threshold_sample(WILD)
    found = dynamic_threshold(saying(WILD), SCHEDULE, percentile)(X_T, TIMESTEP).x_0
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_dynamic_scales_each_image_by_itself():
    found = dynamic_threshold(saying(WILD), SCHEDULE, 1.0)(X_T, TIMESTEP).x_0
    assert float(found[0].abs().max()) == pytest.approx(1)
    assert torch.equal(found[1], WILD[1])


@pytest.mark.parametrize("threshold", BOTH)
def test_eps_agrees_with_the_bounded_x_0(threshold):
    found = BOTH[threshold](saying(WILD), SCHEDULE)(X_T, TIMESTEP)
    again = SCHEDULE.add_noise(found.x_0, found.eps, TIMESTEP)
    torch.testing.assert_close(again, X_T)


@pytest.mark.parametrize("threshold", BOTH)
def test_learned_variance_is_handed_on(threshold):
    assert BOTH[threshold](saying(WILD), SCHEDULE)(X_T, TIMESTEP).variance_mix is MIX


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_dynamic_keeps_half_precision(dtype):
    x = WILD.to(dtype)
    found = dynamic_threshold(lambda x_t, t: Prediction(x, x), SCHEDULE)(X_T.to(dtype), TIMESTEP)
    assert found.x_0.dtype == dtype


# gradients


def pushing(x_0: Tensor, gradient: Tensor):
    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        said = from_x_0(SCHEDULE, x_0, x_t, timestep)
        return Prediction(said.x_0, said.eps, MIX, gradient)

    return denoise


@pytest.mark.parametrize("threshold", BOTH)
def test_a_gradient_is_carried(threshold):
    assert BOTH[threshold](pushing(WILD, MIX), SCHEDULE)(X_T, TIMESTEP).gradient is MIX


def test_a_gradient_drives_x_0_to_the_ends_of_the_range_and_no_further():
    inside = WILD.clamp(-1, 1)
    found = gradient_threshold(pushing(inside, 100 * WILD.sign()), SCHEDULE)(X_T, TIMESTEP)
    x_0 = score_form(found, SCHEDULE, 500).x_0
    torch.testing.assert_close(x_0, WILD.sign())
    assert found.variance_mix is MIX


def test_a_gradient_that_keeps_the_range_is_left_alone():
    gradient = 1e-3 * WILD
    found = gradient_threshold(pushing(0.5 * WILD.sign(), gradient), SCHEDULE)(X_T, TIMESTEP)
    assert torch.equal(found.gradient, gradient)


def test_without_a_gradient_there_is_none_to_bound():
    assert gradient_threshold(saying(WILD), SCHEDULE)(X_T, TIMESTEP).gradient is None
