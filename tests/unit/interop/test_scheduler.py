"""Exported schedulers, read from their files, step by step against our samplers.

diffusers works in float32, so steps agree to 1e-4.
"""

from __future__ import annotations

import itertools

import diffusers
import pytest
import torch
from torch import Tensor

from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.prediction import from_output
from textdiff.errors import UsageError
from textdiff.interop import scheduler_to_diffusers
from textdiff.sampling import DDIM, DDPM, sample, timestep_grid
from textdiff.sampling.dpm_solver import DPMSolverPP
from textdiff.sampling.threshold import static_threshold

SHAPE, T = (2, 3, 4, 4), 100
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}
OURS = {
    "ddim": DDIM(),
    "ddpm": DDPM(),
    "dpmpp": DPMSolverPP(),
    "dpmpp_sde": DPMSolverPP(sde=True),
}
SCHEDULES = {
    "linear": NoiseSchedule.linear(T),
    "cosine": NoiseSchedule.cosine(T),
    "zero terminal snr": NoiseSchedule.linear(T).with_zero_terminal_snr(),
}


def output(x_t: Tensor, timestep: Tensor, channels: int) -> Tensor:
    """Of some smooth network, unlike any exact one; from 3 channels or 6."""
    said = 0.8 * torch.tanh(x_t + 0.3) + 0.1 * torch.sin(timestep.float() / 10)
    return torch.cat([said, 0.5 * torch.tanh(x_t)], dim=1)[:, :channels]


def our_steps(schedule, prediction, sampler, num_steps, clip, channels) -> list[Tensor]:
    def denoise(x_t: Tensor, timestep: Tensor):
        said = output(x_t, timestep[0], channels)
        return from_output(prediction, schedule, said, x_t, timestep)

    rng = torch.Generator().manual_seed(0)
    x_T = torch.randn(SHAPE, generator=rng)
    guarded = static_threshold(denoise, schedule) if clip else denoise
    grid = timestep_grid(schedule, num_steps)
    steps = sample(guarded, schedule, sampler, grid, x_T, lambda: torch.randn(SHAPE, generator=rng))
    return [step.x_t for step in steps]


def their_steps(scheduler, folder, num_steps, channels) -> list[Tensor]:
    scheduler.save_pretrained(folder)
    scheduler = type(scheduler).from_pretrained(folder)
    scheduler.set_timesteps(num_steps)
    rng = torch.Generator().manual_seed(0)
    x, states = torch.randn(SHAPE, generator=rng), []
    ddim = isinstance(scheduler, diffusers.DDIMScheduler)
    options = {"use_clipped_model_output": True} if ddim else {}
    for timestep in scheduler.timesteps:
        said = output(x, timestep, channels)
        x = scheduler.step(said, timestep, x, generator=rng, **options).prev_sample
        states.append(x)
    return states


# Not eps on a cosine without clipping: x_0_hat is eps divided by 1e-3 where float32 has no digits
# left for it.
CASES = [
    (schedule, prediction, clip)
    for schedule, prediction, clip in itertools.product(
        ["linear", "cosine"], ["eps", "x_0", "v"], [True, False]
    )
    if (schedule, prediction, clip) != ("cosine", "eps", False)
]


@pytest.mark.parametrize(("schedule", "prediction", "clip"), CASES)
@pytest.mark.parametrize("sampler", OURS)
def test_steps_are_equal(sampler, schedule, prediction, clip, tmp_path):
    schedule = SCHEDULES[schedule]
    scheduler = scheduler_to_diffusers(schedule, prediction, sampler, clip=clip)
    ours = our_steps(schedule, prediction, OURS[sampler], 20, clip, 3)
    theirs = their_steps(scheduler, tmp_path, 20, 3)
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


@pytest.mark.parametrize("sampler", ["ddpm", "dpmpp", "dpmpp_sde"])
def test_steps_that_do_not_divide_the_chain(sampler, tmp_path):
    scheduler = scheduler_to_diffusers(SCHEDULES["linear"], "eps", sampler)
    ours = our_steps(SCHEDULES["linear"], "eps", OURS[sampler], 15, True, 3)
    torch.testing.assert_close(ours, their_steps(scheduler, tmp_path, 15, 3), **TOLERANCE)


@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_zero_terminal_snr(sampler, tmp_path):
    schedule = SCHEDULES["zero terminal snr"]
    scheduler = scheduler_to_diffusers(schedule, "v", sampler)
    ours = our_steps(schedule, "v", OURS[sampler], 20, True, 3)
    torch.testing.assert_close(ours, their_steps(scheduler, tmp_path, 20, 3), **TOLERANCE)


@pytest.mark.parametrize("variance", ["fixed_large", "learned"])
def test_variances_but_for_the_last_step(variance, tmp_path):
    """DDPMScheduler adds noise on a last step whose timestep is above 0."""
    schedule, channels = SCHEDULES["linear"], 6 if variance == "learned" else 3
    scheduler = scheduler_to_diffusers(schedule, "eps", "ddpm", variance)
    ours = our_steps(schedule, "eps", DDPM(variance), 20, True, channels)
    theirs = their_steps(scheduler, tmp_path, 20, channels)
    torch.testing.assert_close(ours[:-1], theirs[:-1], **TOLERANCE)
    assert (ours[-1] - theirs[-1]).abs().max() > 5e-4


def test_betas_are_the_very_numbers(tmp_path):
    scheduler = scheduler_to_diffusers(SCHEDULES["cosine"], "v")
    scheduler.save_pretrained(tmp_path)
    read = diffusers.DDIMScheduler.from_pretrained(tmp_path)
    assert read.config.trained_betas == SCHEDULES["cosine"].betas.tolist()


@pytest.mark.parametrize(
    ("schedule", "prediction", "sampler", "message"),
    [
        (SCHEDULES["linear"], "mean", "ddim", "prediction mean"),
        (SCHEDULES["linear"].respaced(torch.tensor([3, 50, 99])), "eps", "ddim", "respaced"),
        (SCHEDULES["zero terminal snr"], "v", "dpmpp", "zero_terminal_snr.*ddim or ddpm"),
    ],
    ids=["mean", "respaced", "zero terminal SNR"],
)
def test_what_diffusers_lacks_is_refused(schedule, prediction, sampler, message):
    with pytest.raises(UsageError, match=message):
        scheduler_to_diffusers(schedule, prediction, sampler)
