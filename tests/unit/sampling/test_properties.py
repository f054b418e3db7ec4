"""Every sampler on any schedule: finite, ending on x_0_hat, in the type of its input."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.helpers.exact import standard_normal, with_mix
from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.prediction import from_x_0
from textdiff.sampling import DDIM, DDPM, DPMSolverPP, UniPC, sample, timestep_grid
from textdiff.types import Denoise, Prediction

SAMPLERS = {
    **{
        f"ddpm {variance}": DDPM(variance) for variance in ("fixed_small", "fixed_large", "learned")
    },
    **{f"ddim eta {eta}": DDIM(eta) for eta in (0.0, 0.5, 1.0)},
    "dpm++": DPMSolverPP(),
    "sde dpm++": DPMSolverPP(sde=True),
    "unipc": UniPC(),
}
SCHEDULES = {
    "linear": NoiseSchedule.linear(1000),
    "cosine": NoiseSchedule.cosine(1000),
    "linear, zero terminal SNR": NoiseSchedule.linear(1000).with_zero_terminal_snr(),
    "cosine, zero terminal SNR": NoiseSchedule.cosine(1000).with_zero_terminal_snr(),
}


def network(schedule: NoiseSchedule) -> Denoise:
    """Some smooth x_0_hat in [-1, 1] with a learned variance."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        return from_x_0(schedule, torch.tanh(2 * x_t + 0.3), x_t, timestep)

    return with_mix(denoise, 0.4)


def random_schedule(num_timesteps: int, total: float, seed: int, zero_snr: bool) -> NoiseSchedule:
    """Betas that differ by up to a hundredfold, with ac[-1] = exp(-total) or 0."""
    rng = torch.Generator().manual_seed(seed)
    rates = 10 ** (2 * torch.rand(num_timesteps, generator=rng, dtype=torch.float64))
    schedule = NoiseSchedule(-torch.expm1(-total * rates / rates.sum()))
    return schedule.with_zero_terminal_snr() if zero_snr and num_timesteps > 1 else schedule


@settings(max_examples=60)
@given(
    sampler=st.sampled_from(list(SAMPLERS.values())),
    num_timesteps=st.sampled_from([1, 2, 1000]),
    num_steps=st.integers(1, 20),
    spacing=st.sampled_from(["trailing", "leading", "log_snr"]),
    total=st.floats(0.01, 20),
    zero_snr=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_every_step_is_finite_and_the_last_is_x_0_hat(
    sampler, num_timesteps, num_steps, spacing, total, zero_snr, seed
):
    schedule = random_schedule(num_timesteps, total, seed, zero_snr)
    grid = timestep_grid(schedule, min(num_steps, num_timesteps), spacing)
    noise = standard_normal((2, 1, 2, 2), seed)
    steps = list(sample(network(schedule), schedule, sampler, grid, noise(), noise))
    assert torch.stack([step.x_t for step in steps]).isfinite().all()
    assert torch.equal(steps[-1].x_t, steps[-1].prediction.x_0)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_the_type_of_the_start_is_kept(sampler, schedule, dtype):
    chosen = SCHEDULES[schedule]
    noise = standard_normal((2, 1, 2, 2), seed=0)
    x_T, grid = noise().to(dtype), timestep_grid(chosen, 20)
    for step in sample(network(chosen), chosen, SAMPLERS[sampler], grid, x_T, noise):
        assert step.x_t.dtype == dtype
        assert step.x_t.isfinite().all()
