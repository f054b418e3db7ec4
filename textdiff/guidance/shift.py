"""How far a gradient g may move a sample: sizes of b g, by which it shifts eps_hat.

    size = rms(b g) over the pixels and channels of a picture,     b = sqrt(1 - ac)

eps_hat itself has an rms of about 1, at every noise level. So sizes compare across timesteps and
CLIPs: 0.1 is a tenth of the noise that the step takes away.

    normalised   size = what is asked for, at every step: only the direction counts
    limited      size <= what is asked for
    in latents   b / a size, by which it shifts x_0_hat, <= 1, the deviation of normalised latents
    held         size <= 10, and finite: beyond that, or where rms(x_t) > 10, a sample diverges
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Denoise, Prediction, Samples, Timesteps

DIVERGES_FROM = 10.0


def normalised(denoise: Denoise, schedule: NoiseSchedule, target_size: float) -> Denoise:
    """`denoise` with gradients of this size; one of exactly 0 has no direction and stays."""
    return _scaled(denoise, schedule, lambda size, _: target_size / _nonzero(size))


def limited(denoise: Denoise, schedule: NoiseSchedule, largest: float) -> Denoise:
    """`denoise` with gradients of at most this size."""
    return _scaled(denoise, schedule, lambda size, _: (largest / _nonzero(size)).clamp(max=1))


def within_deviation(denoise: Denoise, schedule: NoiseSchedule) -> Denoise:
    """`denoise` with gradients that move x_0_hat, of data with deviation 1, by an rms of at most 1.

    What a threshold is to pixels. Bayes' gradient moves x_0_hat from E[x_0 | x_t] to
    E[x_0 | x_t, y], which on average over y is no further than the deviation of x_0. That of a
    noised CLIP is never exactly 0 where x_t is all noise, and 1 / a is large there: 20,000 at the
    end of the cosine schedule.
    """

    def within(size: Tensor, timestep: Timesteps) -> Tensor:
        a, b = (schedule.at(table, timestep, size) for table in ("signal", "noise"))
        return (a / (b * _nonzero(size))).clamp(max=1)

    return _scaled(denoise, schedule, within)


def held(denoise: Denoise, schedule: NoiseSchedule, past_unet: bool = False) -> Denoise:
    """`denoise` that cannot be driven to infinity. Says once, with the timestep, that it would be.

    It goes inside of `sampling.threshold.gradient_threshold`, which would hide it.

    Args:
        past_unet: the gradient is `at_x_0` without the U-Net's Jacobian, which makes it grow as
            1 / a where noise prevails, at any scale. There b / a times the size is let through.
    """
    warned = False

    def warn(size: Tensor, most: Tensor, x_t: Samples, timestep: Timesteps) -> None:
        nonlocal warned
        reached = _rms(x_t)
        wild = ~((size <= most) & (reached <= DIVERGES_FROM)).flatten()
        if warned or not wild.any():
            return
        warned, first = True, int(wild.float().argmax())
        logging.getLogger(__name__).warning(
            "CLIP guidance makes the sample diverge at timestep %d: it would shift eps_hat by %.3g "
            "times the size of the noise, and is held at %.3g (at 0 where it is not finite); x_t "
            "has an rms of %.3g, where about 1 is right; use a smaller clip_guidance_scale, a "
            "threshold, or clip_gradient_max",
            timestep[first],
            *(value.flatten()[first] for value in (size, most, reached)),
        )

    def holding(x_t: Samples, timestep: Timesteps) -> Prediction:
        prediction = denoise(x_t, timestep)
        if prediction.gradient is None:
            return prediction
        size = _size(prediction.gradient, schedule, timestep)
        most = torch.full_like(size, DIVERGES_FROM)
        if past_unet:
            a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
            most = most * (b / a).clamp(min=1)
        warn(size, most, x_t, timestep)
        factor = (most / _nonzero(size)).clamp(max=1)
        finite = size.isfinite()
        return replace(prediction, gradient=torch.where(finite, factor * prediction.gradient, 0.0))

    return holding


def _scaled(
    denoise: Denoise, schedule: NoiseSchedule, factor: Callable[[Tensor, Timesteps], Tensor]
) -> Denoise:
    def scaled(x_t: Samples, timestep: Timesteps) -> Prediction:
        prediction = denoise(x_t, timestep)
        if prediction.gradient is None:
            return prediction
        size = _size(prediction.gradient, schedule, timestep)
        return replace(prediction, gradient=factor(size, timestep) * prediction.gradient)

    return scaled


def _size(gradient: Samples, schedule: NoiseSchedule, timestep: Timesteps) -> Tensor:
    return _rms(schedule.at("noise", timestep, gradient) * gradient)


def _rms(x: Samples) -> Tensor:
    """Over all but the batch, (B, 1, ...)."""
    return x.square().mean(dim=tuple(range(1, x.ndim)), keepdim=True).sqrt()


def _nonzero(size: Tensor) -> Tensor:
    return size.clamp(min=torch.finfo(size.dtype).tiny)
