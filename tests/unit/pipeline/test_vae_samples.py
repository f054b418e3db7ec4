"""Pictures of z ~ N(0, I), and whether they are samples."""

from __future__ import annotations

import math

import pytest
import torch

from tests.helpers.vaes import tiny_vae
from textdiff.pipeline import vae_samples
from textdiff.pipeline.vae_samples import distance_from_prior, draw_from_prior, note_on_prior
from textdiff.vae import LatentStatistics


def test_a_picture_is_a_function_of_seed_and_number(monkeypatch):
    vae = tiny_vae()
    drawn = draw_from_prior(vae, 5, seed=0)
    assert (drawn.shape, drawn.dtype) == ((5, 3, 32, 32), torch.uint8)
    monkeypatch.setattr(vae_samples, "CHUNK", 2)
    assert torch.equal(draw_from_prior(vae, 3, seed=0, first=2), drawn[2:])
    assert not torch.equal(draw_from_prior(vae, 5, seed=1), drawn)


def statistics(mean: float, std: float) -> LatentStatistics:
    return LatentStatistics(torch.full((4,), mean), torch.full((4,), std), 1, "", "")


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.3, 1.2), (-2.0, 0.1)])
def test_the_distance_is_the_kl_of_gaussians(mean, std):
    want = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, std), torch.distributions.Normal(0.0, 1.0)
    ).item()
    assert distance_from_prior(statistics(mean, std)) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(
    ("mean", "std", "warns"), [(0.0, 1.0, False), (0.1, 1.1, False), (0, 3, True), (0, 0.5, True)]
)
def test_latents_far_from_the_prior_are_told(mean, std, warns):
    vae = tiny_vae()
    vae.statistics = statistics(mean, std)
    note = note_on_prior(vae)
    assert (note is not None) == warns
    if note:
        assert f"deviations {std:.2f} to {std:.2f}" in note and "diffusion model" in note


def test_latents_that_nobody_measured_are_told():
    vae = tiny_vae()
    vae.statistics = None
    assert "nobody has measured" in note_on_prior(vae)
    assert math.isfinite(distance_from_prior(tiny_vae().measured()))
