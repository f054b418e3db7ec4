"""Samplers against diffusers' schedulers, step by step: same betas, network outputs, noise.

diffusers works in float32, so steps agree to 1e-5.

Defects of diffusers 0.42 that are not copied, and how the tests below go round them:
- DDPMScheduler adds noise on a last step whose timestep is above 0, where Algorithm 2 adds none.
  With fixed_small it is 1e-10 and does not show; with fixed_large and learned_range it does.
- variance_type="fixed_large_log" takes the root of a logarithm: NaN (untested).
- variance_type="learned" takes the network's raw output for sigma^2, which has no source and is
  NaN where the output is negative (untested). IDDPM's learned variance is "learned_range".
- The multistep schedulers space "linspace" and "leading" in N + 1 points and drop one: they are
  given our timesteps.
- DDIMScheduler with "linspace" takes the alpha of timestep - T/N, not of the next in its list
  (diffusers#12633): untested.
"""

from __future__ import annotations

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from textdiff.diffusion import NoiseSchedule, from_eps, from_v
from textdiff.diffusion.prediction import from_x_0
from textdiff.diffusion.variance import variance_mix
from textdiff.sampling import DDIM, DDPM, DPMSolverPP, UniPC, sample, timestep_grid
from textdiff.types import Prediction

SHAPE = (2, 3, 4, 4)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
LINEAR, COSINE = NoiseSchedule.linear(1000), NoiseSchedule.cosine(1000)
FROM = {"epsilon": from_eps, "v_prediction": from_v}


def start() -> tuple[Tensor, torch.Generator]:
    """x_T, and the generator of the noise that both sides draw in turn."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(SHAPE, generator=rng), rng


def network(x_t: Tensor, timestep: Tensor) -> Tensor:
    """Some smooth output, unlike any exact denoiser's."""
    return torch.tanh(x_t + 0.3) + 0.1 * torch.sin(timestep / 100)


def raw_variance(x_t: Tensor) -> Tensor:
    """Some second half of the output, in [-1, 1] as learned_range has it."""
    return torch.cos(3 * x_t)


def our_steps(
    schedule, sampler, num_steps, spacing="trailing", clip=False, prediction="epsilon"
) -> Tensor:
    """x after each step, (N, B, C, H, W)."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        said = FROM[prediction](schedule, network(x_t, timestep[0]), x_t, timestep)
        if clip:
            said = from_x_0(schedule, said.x_0.clamp(-1, 1), x_t, timestep)
        return Prediction(said.x_0, said.eps, variance_mix(raw_variance(x_t)))

    x_T, rng = start()
    grid = timestep_grid(schedule, num_steps, spacing)
    steps = sample(denoise, schedule, sampler, grid, x_T, lambda: torch.randn(SHAPE, generator=rng))
    return torch.stack([step.x_t for step in steps])


def run(scheduler, x: Tensor, **options) -> Tensor:
    """The same of diffusers' scheduler, its timesteps set; `options` go to each of its steps."""
    states = []
    for timestep in scheduler.timesteps:
        output = network(x, timestep)
        if scheduler.config.get("variance_type") == "learned_range":
            output = torch.cat([output, raw_variance(x)], dim=1)
        x = scheduler.step(output, timestep, x, **options).prev_sample
        states.append(x)
    return torch.stack(states)


def their_steps(kind, schedule, num_steps, spacing="trailing", step=None, **config) -> Tensor:
    """The same of DDPM's or DDIM's scheduler on its own grid; `config` goes to the scheduler."""
    scheduler = kind(
        num_train_timesteps=schedule.num_timesteps,
        trained_betas=schedule.betas.numpy(),
        timestep_spacing=spacing,
        **{"clip_sample": False, **config},
    )
    scheduler.set_timesteps(num_steps)
    x_T, rng = start()
    return run(scheduler, x_T, generator=rng, **(step or {}))


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_small_log"])
@pytest.mark.parametrize("num_steps", [10, 50])
def test_ddpm_with_fixed_small(variance, num_steps):
    """Rounding of fp32 adds up over the steps, by how much depends on the processor's kernels."""
    ours = our_steps(LINEAR, DDPM("fixed_small"), num_steps)
    theirs = their_steps(DDPMScheduler, LINEAR, num_steps, variance_type=variance)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=max(1e-5, 4e-7 * num_steps))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("fixed_small", "fixed_small"),
        ("fixed_large", "fixed_large"),
        ("learned", "learned_range"),
    ],
)
@pytest.mark.parametrize(
    ("schedule", "num_steps", "spacing"),
    [(LINEAR, 20, "leading"), (LINEAR, 20, "linspace"), (COSINE, 20, "leading")],
    ids=["linear leading", "linear linspace", "cosine leading"],
)
def test_ddpm_on_grids_that_end_at_timestep_0(schedule, num_steps, spacing, ours, theirs):
    found = our_steps(schedule, DDPM(ours), num_steps, spacing)
    expected = their_steps(DDPMScheduler, schedule, num_steps, spacing, variance_type=theirs)
    torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("fixed_large", "fixed_large"), ("learned", "learned_range")]
)
@pytest.mark.parametrize("make", [NoiseSchedule.linear, NoiseSchedule.cosine])
def test_ddpm_on_the_full_chain(make, ours, theirs):
    schedule = make(100)
    options = {"variance_type": theirs, "prediction_type": "v_prediction"}
    found = our_steps(schedule, DDPM(ours), 100, prediction="v_prediction")
    expected = their_steps(DDPMScheduler, schedule, 100, **options)
    torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("fixed_large", "fixed_large"), ("learned", "learned_range")]
)
def test_ddpm_on_grids_that_end_above_timestep_0_but_for_their_last_step(ours, theirs):
    found = our_steps(LINEAR, DDPM(ours), 10)
    expected = their_steps(DDPMScheduler, LINEAR, 10, variance_type=theirs)
    torch.testing.assert_close(found[:-1], expected[:-1], **TOLERANCE)
    assert (found[-1] - expected[-1]).abs().max() > 0.1


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


def exactly_on(scheduler, schedule: NoiseSchedule, grid: Tensor):
    """A multistep solver of diffusers on our timesteps, its sigmas replaced by ours in float64: in
    float32 they are off by 3e-4 of themselves at timestep 0, since 1 - ac is."""
    scheduler.set_timesteps(len(grid))
    scheduler.timesteps = grid.flip(0)
    scheduler.sigmas = torch.cat([schedule.snr[scheduler.timesteps] ** -0.5, torch.zeros(1)])
    return scheduler


@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace", "log_snr", "karras"])
@pytest.mark.parametrize("num_steps", [1, 2, 10, 50])
@pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
@pytest.mark.parametrize(
    ("sampler", "kind", "options"),
    [
        (DPMSolverPP(), DPMSolverMultistepScheduler, {"algorithm_type": "dpmsolver++"}),
        (DPMSolverPP(True), DPMSolverMultistepScheduler, {"algorithm_type": "sde-dpmsolver++"}),
        (UniPC(), UniPCMultistepScheduler, {"solver_type": "bh2"}),
    ],
    ids=["dpm++", "sde dpm++", "unipc"],
)
def test_multistep_solvers(sampler, kind, options, schedule, num_steps, spacing):
    """Their last step is first order too, and goes to sigma = 0: final_sigmas_type="zero"."""
    scheduler = kind(
        trained_betas=schedule.betas.numpy(),
        solver_order=2,
        prediction_type="v_prediction",
        final_sigmas_type="zero",
        **options,
    )
    grid = timestep_grid(schedule, num_steps, spacing)
    x_T, rng = start()
    draws = {"generator": rng} if kind is DPMSolverMultistepScheduler else {}
    theirs = run(exactly_on(scheduler, schedule, grid), x_T, **draws)
    ours = our_steps(schedule, sampler, num_steps, spacing, prediction="v_prediction")
    torch.testing.assert_close(ours, theirs, **TOLERANCE)
