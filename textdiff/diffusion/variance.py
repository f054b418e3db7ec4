"""The reverse process's variance (DDPM section 3.2; IDDPM, arXiv 2102.09672, eq. 15).

    fixed_small   sigma^2 = beta_tilde
    fixed_large   sigma^2 = beta
    learned       sigma^2 = exp(v log beta + (1 - v) log beta_tilde)

v comes from the network, one per pixel and channel: a raw output of -1 is v = 0, of 1 is v = 1. It
is not a variance but a place between two, so the same v serves every respaced chain.
At the least noisy step beta_tilde is 0 and its logarithm is taken from the next step. In the bound
fixed_large takes that value too, as IDDPM's code does; learned reaches up to log beta even there.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from textdiff.diffusion.config import VarianceType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Prediction, Samples, Timesteps

# IDDPM leaves v free. A mean that errs wants more than beta, so v may leave [0, 1], but not so
# far that the exponential overflows.
MIX_RANGE = (-1.0, 2.0)
NO_LEARNED_VARIANCE = (
    "the model has no learned variance; use fixed_small or fixed_large, or train one with "
    "objective.loss hybrid"
)


def variance_mix(raw: Samples) -> Samples:
    """v of the network's raw output. Outside of its range it keeps its gradient, so that training
    can lead it back."""
    v = (raw + 1) / 2
    return v + (v.clamp(*MIX_RANGE) - v).detach()


def pick_variance(
    asked: Literal["auto", VarianceType], learned: bool, otherwise: VarianceType
) -> VarianceType:
    """`asked`; for auto the learned variance if the network has one, else `otherwise`.

    Raises:
        ValueError: a learned variance is asked of a network without one.
    """
    if asked == "learned" and not learned:
        raise ValueError(NO_LEARNED_VARIANCE)
    if asked != "auto":
        return asked
    return "learned" if learned else otherwise


def log_variance(
    schedule: NoiseSchedule,
    variance: VarianceType,
    prediction: Prediction,
    timestep: Timesteps,
) -> Tensor:
    """log sigma^2 at `timestep`, which counts the steps of `schedule`.

    Returns:
        (B, 1, ...) of a fixed variance, (B, ...) of a learned one.

    Raises:
        ValueError: a learned variance is asked of a network without one.
    """
    like = prediction.x_0
    if variance == "fixed_small":
        return schedule.at("posterior_log_variance_clipped", timestep, like)
    if variance == "fixed_large":
        return schedule.at("large_log_variance", timestep, like)
    if prediction.variance_mix is None:
        raise ValueError(NO_LEARNED_VARIANCE)
    small = schedule.at("posterior_log_variance_clipped", timestep, like)
    large = schedule.at("log_betas", timestep, like)
    v = prediction.variance_mix.to(like.dtype)
    return torch.lerp(small.expand_as(v), large.expand_as(v), v)
