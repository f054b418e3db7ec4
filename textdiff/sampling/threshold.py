"""Thresholds: x_0_hat held in the range of pixels, which guidance drives it out of.

    static    x_0 = clip(x_0_hat, -1, 1)
    dynamic   x_0 = clip(x_0_hat, -s, s) / s,    s = max(1, percentile of |x_0_hat| per image)

Dynamic thresholding (Imagen, arXiv 2205.11487, section 2.3) keeps saturated pixels apart from each
other at high guidance scales. eps_hat follows from x_0 and x_t. These thresholds go outside of
classifier-free guidance and inside of a gradient g, which has one of its own:

    gradient  g = clip(g, (-1 - x_0) a / b^2, (1 - x_0) a / b^2)

so that x_0_hat + (b^2 / a) g, which the score form makes of it, stays in [-1, 1]. Near pure noise
a gradient that is not exactly that of the noised pictures would be blown up by 1 / a.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from textdiff.diffusion.prediction import from_x_0
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Denoise, Prediction, Samples, Timesteps


def static_threshold(denoise: Denoise, schedule: NoiseSchedule) -> Denoise:
    """`denoise` with x_0_hat clipped to [-1, 1]."""
    return _bounded(denoise, schedule, lambda x_0: x_0.clamp(-1, 1))


def dynamic_threshold(
    denoise: Denoise, schedule: NoiseSchedule, percentile: float = 0.995
) -> Denoise:
    """`denoise` with x_0_hat clipped to [-s, s] and divided by s. percentile: in (0, 1]."""

    def bound(x_0: Samples) -> Samples:
        s = torch.quantile(x_0.abs().flatten(1).float(), percentile, dim=1).clamp(min=1)
        s = s.to(x_0.dtype).view(-1, *[1] * (x_0.ndim - 1))
        return x_0.clamp(-s, s) / s

    return _bounded(denoise, schedule, bound)


def gradient_threshold(denoise: Denoise, schedule: NoiseSchedule) -> Denoise:
    """`denoise`, whose x_0_hat lies in [-1, 1], with a gradient that does not drive it out."""

    def bounded(x_t: Samples, timestep: Timesteps) -> Prediction:
        prediction = denoise(x_t, timestep)
        if prediction.gradient is None:
            return prediction
        a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
        low, high = ((end - prediction.x_0) * a / b.square() for end in (-1, 1))
        return replace(
            prediction, gradient=prediction.gradient.clamp(low.clamp(max=0), high.clamp(min=0))
        )

    return bounded


def _bounded(
    denoise: Denoise, schedule: NoiseSchedule, bound: Callable[[Samples], Samples]
) -> Denoise:
    def bounded(x_t: Samples, timestep: Timesteps) -> Prediction:
        prediction = denoise(x_t, timestep)
        agreeing = from_x_0(schedule, bound(prediction.x_0), x_t, timestep)
        return replace(prediction, x_0=agreeing.x_0, eps=agreeing.eps)

    return bounded
