"""DDPM and DDIM against diffusers' schedulers, step by step: same betas, network outputs, noise.

diffusers works in float32, so steps agree to 1e-5.
"""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor

from textdiff.diffusion import NoiseSchedule, from_eps
from textdiff.diffusion.prediction import clip_x_0
from textdiff.sampling import DDIM, DDPM, sample, timestep_grid
from textdiff.types import Prediction

SHAPE = (2, 3, 4, 4)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
LINEAR, COSINE = NoiseSchedule.linear(1000), NoiseSchedule.cosine(1000)


def start() -> tuple[Tensor, torch.Generator]:
    """x_T, and the generator of the noise that both sides draw in turn."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(SHAPE, generator=rng), rng


def network(x_t: Tensor, timestep: Tensor) -> Tensor:
    """Some smooth eps_hat, unlike any exact denoiser."""
    return torch.tanh(x_t + 0.3) + 0.1 * torch.sin(timestep / 100)


def our_steps(schedule, sampler, num_steps, spacing="trailing", clip=False) -> Tensor:
    """x after each step, (N, B, C, H, W)."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        return from_eps(schedule, network(x_t, timestep[0]), x_t, timestep)

    if clip:
        denoise = clip_x_0(denoise, schedule)
    x_T, rng = start()
    grid = timestep_grid(schedule.num_timesteps, num_steps, spacing)
    steps = sample(denoise, schedule, sampler, grid, x_T, lambda: torch.randn(SHAPE, generator=rng))
    return torch.stack([step.x for step in steps])


def their_steps(kind, schedule, num_steps, spacing="trailing", step=None, **config) -> Tensor:
    """The same of diffusers; `config` goes to the scheduler, `step` to each of its steps."""
    scheduler = kind(
        trained_betas=schedule.betas.numpy(),
        timestep_spacing=spacing,
        **{"clip_sample": False, **config},
    )
    scheduler.set_timesteps(num_steps)
    x, rng = start()
    states = []
    for timestep in scheduler.timesteps:
        eps = network(x, timestep)
        x = scheduler.step(eps, timestep, x, generator=rng, **(step or {})).prev_sample
        states.append(x)
    return torch.stack(states)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_small_log"])
@pytest.mark.parametrize("num_steps", [10, 50])
def test_ddpm_with_fixed_small(variance, num_steps):
    ours = our_steps(LINEAR, DDPM("fixed_small"), num_steps)
    theirs = their_steps(DDPMScheduler, LINEAR, num_steps, variance_type=variance)
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
@pytest.mark.parametrize(
    ("schedule", "spacing"),
    [(LINEAR, "leading"), (LINEAR, "linspace"), (COSINE, "leading")],
    ids=["linear leading", "linear linspace", "cosine leading"],
)
def test_ddpm_on_grids_that_end_at_timestep_0(schedule, spacing, variance):
    """A cosine that starts at 999 is left out: sqrt(ac) = 5e-5 is too coarse in float32."""
    ours = our_steps(schedule, DDPM(variance), 20, spacing)
    theirs = their_steps(DDPMScheduler, schedule, 20, spacing, variance_type=variance)
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


def test_ddpm_with_fixed_large_but_for_the_last_step():
    """diffusers adds noise on a last step whose timestep is above 0; Algorithm 2 does not."""
    ours = our_steps(LINEAR, DDPM("fixed_large"), 10)
    theirs = their_steps(DDPMScheduler, LINEAR, 10, variance_type="fixed_large")
    torch.testing.assert_close(ours[:-1], theirs[:-1], **TOLERANCE)
    assert (ours[-1] - theirs[-1]).abs().max() > 0.1


def test_ddpm_with_clipped_x_0():
    ours = our_steps(LINEAR, DDPM("fixed_small"), 50, clip=True)
    theirs = their_steps(DDPMScheduler, LINEAR, 50, variance_type="fixed_small", clip_sample=True)
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


@pytest.mark.parametrize("num_steps", [10, 50])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_ddim(eta, num_steps):
    ours = our_steps(LINEAR, DDIM(eta), num_steps)
    theirs = their_steps(DDIMScheduler, LINEAR, num_steps, step={"eta": eta})
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


def test_ddim_with_clipped_x_0():
    """Ours makes eps_hat agree with the clipped x_0_hat, theirs when asked to."""
    ours = our_steps(LINEAR, DDIM(0.0), 50, clip=True)
    options = {"use_clipped_model_output": True}
    theirs = their_steps(DDIMScheduler, LINEAR, 50, step=options, clip_sample=True)
    torch.testing.assert_close(ours, theirs, **TOLERANCE)
