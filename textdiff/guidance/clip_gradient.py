"""Guidance by a gradient: hands samplers g = scale * d l / d x_t, in `Prediction.gradient`.

    at x_t    g = scale * grad l(x_t, t)                                 (ADM, arXiv 2105.05233;
              a noised CLIP reads x_t itself                              GLIDE, arXiv 2112.10741)
    at x_0    g = scale * J^T grad l(x_0_hat)                            (arXiv 2302.07121, eq. 6)
              a clean CLIP reads x_0_hat;  J = d x_0_hat / d x_t = (Id - b d eps_hat / d x_t) / a

The first needs no backward pass through the U-Net. The second needs one, unless eps_hat is treated
as a constant, which leaves J = Id / a: cheap, and far too large where noise is high. With Gaussian
data of variance d^2 and a linear l the full J samples exactly N(m + scale d^2 grad l, d^2 Id).

Gradients go outside of classifier-free guidance and thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.guidance.similarity import Reward
from textdiff.timesteps import shared_timestep
from textdiff.types import Denoise, Prediction, Samples, Timesteps


def at_x_t(denoise: Denoise, reward: Reward, scale: float) -> Denoise:
    """Guides `denoise` by `reward(x_t, timestep)`."""
    return following(denoise, partial(reward_gradient, reward), scale)


def following(
    denoise: Denoise, gradient: Callable[[Samples, Timesteps], Samples], scale: float
) -> Denoise:
    """Guides `denoise` by `gradient(x_t, timestep)`, of which that of a reward is one."""

    def guided(x_t: Samples, timestep: Timesteps) -> Prediction:
        found = gradient(x_t, timestep)
        return replace(denoise(x_t, timestep), gradient=scale * found)

    return guided


def reward_gradient(reward: Reward, x_t: Samples, timestep: Timesteps) -> Samples:
    """grad l(x_t, t)."""
    with torch.enable_grad():
        x = x_t.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(reward(x, timestep).sum(), x)
    return gradient


def at_x_0(
    denoise: Denoise,
    schedule: NoiseSchedule,
    reward: Reward,
    scale: float,
    through_unet: bool = True,
) -> Denoise:
    """Guides `denoise` by `reward(x_0_hat, 0)`. The U-Net runs once either way.

    Args:
        through_unet: True uses the whole Jacobian J, thresholds included. False treats eps_hat as a
            constant, so that J is Id / a.
    """

    def through(x_t: Samples, timestep: Timesteps) -> Prediction:
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            prediction = denoise(x, timestep)
            value = reward(prediction.x_0, _clean(timestep)).sum()
            (gradient,) = torch.autograd.grad(value, x)
        return replace(_detached(prediction), gradient=scale * gradient)

    def past(x_t: Samples, timestep: Timesteps) -> Prediction:
        prediction = denoise(x_t, timestep)
        with torch.enable_grad():
            x_0 = prediction.x_0.detach().requires_grad_()
            value = reward(x_0, _clean(timestep)).sum()
            (gradient,) = torch.autograd.grad(value, x_0)
        a = schedule.at("signal", timestep, x_t)
        # with zero terminal SNR a is 0 at T-1, where x_0_hat does not depend on x_t
        return replace(prediction, gradient=scale * torch.where(a > 0, gradient / a, 0.0))

    return through if through_unet else past


def _clean(timestep: Timesteps) -> Timesteps:
    """As many timesteps 0, at which a noised CLIP reads x_0_hat."""
    return shared_timestep(0, len(timestep), timestep.device)


def _detached(prediction: Prediction) -> Prediction:
    """The same values without their graph, which would keep every activation of the U-Net."""
    mix = None if prediction.variance_mix is None else prediction.variance_mix.detach()
    return replace(
        prediction, x_0=prediction.x_0.detach(), eps=prediction.eps.detach(), variance_mix=mix
    )
