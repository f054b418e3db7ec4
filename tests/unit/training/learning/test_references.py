"""Guesses from single pixels: exact for Gaussian data and for flips."""

from __future__ import annotations

import itertools

import pytest
import torch

from tests.helpers.exact import gaussian
from textdiff.binary.schedule import BinarySchedule
from textdiff.diffusion import NoiseSchedule
from textdiff.training.learning.references import (
    PixelStatistics,
    single_binary_pixels,
    single_gaussian_pixels,
)

SCHEDULE = NoiseSchedule.cosine(100)


def test_single_pixels_of_gaussian_data_are_the_exact_denoiser():
    rng = torch.Generator().manual_seed(0)
    x_t = torch.randn(5, 1, 4, 4, generator=rng, dtype=torch.float64)
    timestep = torch.tensor([0, 25, 50, 75, 99])
    ones = torch.ones(1, 4, 4, dtype=torch.float64)
    found = single_gaussian_pixels(
        SCHEDULE, PixelStatistics(0.2 * ones, 0.09 * ones), x_t, timestep
    )
    torch.testing.assert_close(found, gaussian(SCHEDULE, 0.2, 0.3)(x_t, timestep).x_0)


@pytest.mark.parametrize("t", [10, 50, 90])
def test_the_error_of_single_pixels_is_the_formula_above_them(t):
    rng = torch.Generator().manual_seed(0)
    x_0 = 0.3 * torch.randn(20_000, 1, 1, 1, generator=rng)
    timestep = torch.full((len(x_0),), t)
    x_t = SCHEDULE.add_noise(x_0, torch.randn(x_0.shape, generator=rng), timestep)
    pixels = PixelStatistics.of([x_0])
    found = (single_gaussian_pixels(SCHEDULE, pixels, x_t, timestep) - x_0).square().mean()
    ac, v = SCHEDULE.alphas_cumprod[t].item(), 0.09
    assert found.item() == pytest.approx(v * (1 - ac) / (ac * v + 1 - ac), rel=0.05)


def test_statistics_of_batches_are_those_of_all():
    x_0 = torch.randn(10, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    pixels = PixelStatistics.of(x_0.split(3))
    torch.testing.assert_close(pixels.mean, x_0.mean(0))
    torch.testing.assert_close(pixels.variance, x_0.var(0, correction=0))


def test_constant_pixels_are_known_at_every_timestep():
    pixels = PixelStatistics(torch.full((1, 1, 1), 0.7), torch.zeros(1, 1, 1))
    x_t, timestep = torch.randn(3, 1, 1, 1), torch.tensor([0, 50, 99])
    found = single_gaussian_pixels(SCHEDULE, pixels, x_t, timestep)
    assert found.flatten().tolist() == pytest.approx([0.7] * 3)


@pytest.mark.parametrize("mean", [-1.0, -0.4, 0.0, 0.9])
def test_single_binary_pixels_are_bayes_rule(mean):
    schedule = BinarySchedule.cosine(20)
    pixels = PixelStatistics(torch.full((1, 1, 1), mean), torch.full((1, 1, 1), 1 - mean**2))
    for t, x_t in itertools.product((0, 10, 19), (-1.0, 1.0)):
        flip = schedule.flip_probability[t].item()
        white = (1 + mean) / 2 * (1 - flip if x_t > 0 else flip)
        black = (1 - mean) / 2 * (flip if x_t > 0 else 1 - flip)
        found = single_binary_pixels(
            schedule, pixels, torch.full((1, 1, 1, 1), x_t), torch.tensor([t])
        )
        assert found.item() == pytest.approx((white - black) / (white + black), abs=1e-3)
