"""DDIM inversion: picture to noise and back, with a denoiser whose trajectories are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.helpers.exact import final, gaussian, gaussian_flow, no_noise
from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.prediction import from_x_0
from textdiff.sampling import DDIM, invert, timestep_grid
from textdiff.types import Prediction

LINEAR, COSINE = NoiseSchedule.linear(1000), NoiseSchedule.cosine(1000)
ZERO_SNR = COSINE.with_zero_terminal_snr()
MEAN, STD = 0.3, 0.5
PICTURE = torch.linspace(-1, 1, 8, dtype=torch.float64).view(1, 2, 2, 2)


def round_trip_error(schedule: NoiseSchedule, num_steps: int) -> float:
    """Largest, of pixels in [-1, 1]."""
    denoise, grid = gaussian(schedule, MEAN, STD), timestep_grid(schedule, num_steps)
    *_, noised = invert(denoise, schedule, grid, PICTURE)
    back = final(denoise, schedule, DDIM(), grid, noised.x_t, no_noise)
    return float((back - PICTURE).abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
def test_the_round_trip_error_falls_as_one_over_the_steps(schedule):
    errors = torch.tensor([round_trip_error(schedule, n) for n in (125, 250, 500, 1000)])
    orders = (errors[:-1] / errors[1:]).log2()
    assert ((orders > 0.9) & (orders < 1.1)).all()


@pytest.mark.parametrize(
    ("schedule", "largest"),
    [(LINEAR, 0.03), (COSINE, 0.02), (ZERO_SNR, 0.02)],
    ids=["linear", "cosine", "zero terminal SNR"],
)
def test_the_round_trip_of_250_steps_is_close(schedule, largest):
    assert round_trip_error(schedule, 250) < largest


def test_the_noise_is_that_of_the_exact_ode():
    ac, one = LINEAR.alphas_cumprod, torch.ones((), dtype=torch.float64)
    *_, last = invert(gaussian(LINEAR, MEAN, STD), LINEAR, timestep_grid(LINEAR, 1000), PICTURE)
    exact = gaussian_flow(PICTURE, one, ac[-1], MEAN, STD)
    torch.testing.assert_close(last.x_t, exact, rtol=0, atol=0.02)


def test_each_step_asks_at_the_timestep_that_x_has_reached():
    seen = []

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        seen.append(timestep.tolist())
        return from_x_0(LINEAR, x_t, x_t, timestep)

    steps = list(invert(denoise, LINEAR, torch.tensor([3, 50, 999]), PICTURE))
    assert seen == [[3], [3], [50]]
    assert [(step.index, step.timestep) for step in steps] == [(0, 3), (1, 50), (2, 999)]
