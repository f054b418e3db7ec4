"""Noise schedules as diffusers' schedulers.

    schedule.betas ──► trained_betas, the very numbers, so that cosine ones are not approximated
    eps, x_0, v    ──► prediction_type epsilon, sample, v_prediction

A scheduler made here takes the steps of our sampler of the same name with trailing spacing and
static threshold, from float32 tables:

    ddpm      but for the last step: where its timestep is above 0, DDPMScheduler adds noise (next
              to none with fixed_small). It takes a learned variance without a bound, ours is held
              within MIX_RANGE
    ddim      where the number of steps divides T: DDIMScheduler goes T // steps back, wherever the
              grid's next timestep is. Clipped: its step needs use_clipped_model_output=True
    dpmpp     dpmpp_sde too

At 111 of the numbers of steps up to T = 1000 diffusers visits other timesteps than ours, as it
rounds sums of floats: 48 steps round ties another way, 61 become 62, the last at timestep -1. The
bundled pipeline has neither fault: its `steps` give the scheduler a chain of the visited timesteps
alone.

The prediction "mean" has no name in diffusers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from textdiff.diffusion.config import PredictionType, VarianceType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.errors import UsageError

if TYPE_CHECKING:
    from diffusers import SchedulerMixin

SamplerName = Literal["ddim", "ddpm", "dpmpp", "dpmpp_sde"]
PREDICTIONS = {"eps": "epsilon", "x_0": "sample", "v": "v_prediction"}
VARIANCES = {
    "fixed_small": "fixed_small",
    "fixed_large": "fixed_large",
    "learned": "learned_range",
}


def scheduler_to_diffusers(
    schedule: NoiseSchedule,
    prediction: PredictionType,
    sampler: SamplerName = "ddim",
    variance: VarianceType = "fixed_small",
    clip: bool = True,
) -> SchedulerMixin:
    """A DDIM, DDPM or DPMSolverMultistep scheduler for networks trained on `schedule`.

    Args:
        variance: of ddpm; the others have none.
        clip: keep x_0_hat in [-1, 1], as our static threshold does.

    Raises:
        UsageError: a prediction of the mean, a respaced schedule, dpmpp with zero terminal SNR.
    """
    import diffusers

    if prediction not in PREDICTIONS:
        raise UsageError(
            f"prediction {prediction}: diffusers' schedulers know none of it; "
            f"train a model that predicts {', '.join(PREDICTIONS)}"
        )
    if not torch.equal(schedule.timesteps, torch.arange(schedule.num_timesteps)):
        raise UsageError("a respaced schedule has no diffusers scheduler; export the whole one")
    common = {
        "num_train_timesteps": schedule.num_timesteps,
        "trained_betas": schedule.betas.tolist(),
        "prediction_type": PREDICTIONS[prediction],
        "timestep_spacing": "trailing",
    }
    if sampler == "ddim":
        return diffusers.DDIMScheduler(
            **common, clip_sample=clip, clip_sample_range=1.0, set_alpha_to_one=True
        )
    if sampler == "ddpm":
        return diffusers.DDPMScheduler(
            **common, clip_sample=clip, clip_sample_range=1.0, variance_type=VARIANCES[variance]
        )
    if schedule.betas[-1] == 1:
        raise UsageError(
            f"sampler {sampler} with schedule.zero_terminal_snr: diffusers' solver divides by zero "
            "there; export ddim or ddpm"
        )
    # A dynamic threshold of at most 1 is the static one, which this scheduler has no option for.
    return diffusers.DPMSolverMultistepScheduler(
        **common,
        algorithm_type="sde-dpmsolver++" if sampler == "dpmpp_sde" else "dpmsolver++",
        solver_order=2,
        solver_type="midpoint",
        final_sigmas_type="zero",
        thresholding=clip,
        sample_max_value=1.0,
    )
