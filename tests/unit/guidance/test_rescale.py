"""rescale: diffusers' `rescale_noise_cfg` on v, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from torch import Tensor

from textdiff.diffusion import NoiseSchedule, from_v
from textdiff.guidance import classifier_free, rescale
from textdiff.types import Prediction

SCHEDULE = NoiseSchedule.cosine(1000).with_zero_terminal_snr()
SHAPE, TIMESTEP = (3, 3, 4, 4), torch.tensor([3, 500, 999])


def drawn(seed: int) -> Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X_T, COND, UNCOND = drawn(0), drawn(1), drawn(2)


def guided(scale: float, phi: float, mix: Tensor | None = None) -> Prediction:
    """The guided prediction of a network whose v is COND with the prompt, UNCOND without."""

    def pair(x_t: Tensor, timestep: Tensor) -> tuple[Prediction, Prediction]:
        cond, uncond = (from_v(SCHEDULE, v, x_t, timestep) for v in (COND, UNCOND))
        return replace(cond, variance_mix=mix), uncond

    return classifier_free(pair, scale, rescale(SCHEDULE, phi))(X_T, TIMESTEP)


def v_of(said: Prediction) -> Tensor:
    a, b = (SCHEDULE.at(table, TIMESTEP, X_T) for table in ("signal", "noise"))
    return a * said.eps - b * said.x_0


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7, 1.0])
def test_agrees_with_diffusers(phi):
    v_cfg = UNCOND + 5.0 * (COND - UNCOND)
    expected = rescale_noise_cfg(v_cfg, COND, guidance_rescale=phi)
    torch.testing.assert_close(v_of(guided(5.0, phi)), expected)


def test_at_1_each_image_has_the_contrast_of_its_conditional_prediction():
    found = v_of(guided(5.0, 1.0)).flatten(1).std(1)
    torch.testing.assert_close(found, COND.flatten(1).std(1))


def test_x_0_and_eps_agree_with_x_t():
    said = guided(5.0, 0.7)
    torch.testing.assert_close(SCHEDULE.add_noise(said.x_0, said.eps, TIMESTEP), X_T)


def test_prediction_without_contrast_is_left_as_it_is():
    """A fresh network outputs zeros."""
    flat = Prediction(torch.zeros(SHAPE), torch.zeros(SHAPE))
    said = rescale(SCHEDULE, 0.7)(flat, flat, torch.zeros(SHAPE), TIMESTEP)
    assert not said.x_0.any()
    assert not said.eps.any()


def test_learned_variance_is_handed_on():
    assert torch.equal(guided(5.0, 0.7, drawn(3)).variance_mix, drawn(3))
