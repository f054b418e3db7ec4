"""interval: golden scales, the ends, and that no second pass is made outside."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.helpers.exact import no_noise
from tests.helpers.golden import golden
from textdiff.diffusion import NoiseSchedule
from textdiff.guidance import classifier_free, interval, only_at
from textdiff.sampling import DDIM, sample
from textdiff.types import Prediction

CASE = golden("guidance")["by_id"]["guidance_interval"]
GRID = torch.tensor(CASE["inputs"]["timesteps"]).flip(0)
LOW, HIGH = CASE["inputs"]["interval"]


def saying(value: float):
    """A denoiser whose eps is `value` everywhere."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        return Prediction(torch.zeros_like(x_t), torch.full_like(x_t, value))

    return denoise


def drawn(denoise) -> list[Prediction]:
    """Its predictions down the golden timesteps, for two images."""
    x_T = torch.zeros(2, 1, 2, 2)
    steps = sample(denoise, NoiseSchedule.linear(1000), DDIM(), GRID, x_T, no_noise)
    return [step.prediction for step in steps]


def test_golden_scale_of_each_step():
    guided = interval(saying(CASE["inputs"]["guidance_scale"]), saying(1.0), LOW, HIGH)
    scales = [float(said.eps[0, 0, 0, 0]) for said in drawn(guided)]
    assert scales == CASE["outputs"]["scale_per_step"]


def test_network_sees_the_negatives_only_inside():
    passes = []

    def conditional(x_t: Tensor, timestep: Tensor) -> Prediction:
        passes.append("prompts")
        return Prediction(x_t, x_t)

    def pair(x_t: Tensor, timestep: Tensor) -> tuple[Prediction, Prediction]:
        passes.append("both")
        return Prediction(x_t, x_t), Prediction(x_t, x_t)

    drawn(interval(classifier_free(pair, 4.0), conditional, LOW, HIGH))
    inside = [LOW <= timestep <= HIGH for timestep in CASE["inputs"]["timesteps"]]
    assert passes == ["both" if guided else "prompts" for guided in inside]


def test_only_at_takes_any_timesteps():
    every_third = CASE["inputs"]["timesteps"][::3]
    found = [
        float(said.eps[0, 0, 0, 0])
        for said in drawn(only_at(saying(2.0), saying(1.0), every_third))
    ]
    assert found == [2, 1, 1] * 3 + [2]
