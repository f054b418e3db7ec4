"""Guesses of x_0 by whoever sees no picture in x_t; a network that has learned beats both.

    mean picture    x_0_hat = m                                             its error is V
    single pixels   x_0_hat = E[x_0 | x_t], each pixel from itself alone
        noise       m + a V (x_t - a m) / D2,   D2 = a^2 V + b^2            its error is V b^2 / D2
        flips       (m + r x_t) / (1 + r m x_t)

m, V: mean and variance of each pixel over training pictures; a = sqrt(ac), b = sqrt(1 - ac);
r = E[x_t x_0]. The second is the noise floor of a network that knows no shapes and no text: of
Gaussian data whose pixels do not depend on each other nothing gets below it (the Wiener filter).
The floor of real pictures is lower, and unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.binary.schedule import BinarySchedule
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Images, Timesteps


@dataclass(frozen=True)
class PixelStatistics:
    """Of pictures: mean and variance of each pixel, (C, H, W)."""

    mean: Float[Tensor, "channels height width"]
    variance: Float[Tensor, "channels height width"]

    @classmethod
    def of(cls, batches: Iterable[Images]) -> PixelStatistics:
        """Over all pictures x_0 of some batches; at least one."""
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for x_0 in batches:
            count += len(x_0)
            total = total + x_0.double().sum(0)
            squares = squares + x_0.double().square().sum(0)
        mean = total / count
        return cls(mean.float(), (squares / count - mean**2).clamp(min=0).float())

    def to(self, device: torch.device | str) -> PixelStatistics:
        return PixelStatistics(self.mean.to(device), self.variance.to(device))


def single_gaussian_pixels(
    schedule: NoiseSchedule, pixels: PixelStatistics, x_t: Images, timestep: Timesteps
) -> Images:
    """x_0_hat under Gaussian noise, from each pixel of x_t alone."""
    a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    gain = a * pixels.variance / (a**2 * pixels.variance + b**2)
    return pixels.mean + gain * (x_t - a * pixels.mean)


def single_binary_pixels(
    schedule: BinarySchedule, pixels: PixelStatistics, x_t: Images, timestep: Timesteps
) -> Images:
    """x_0_hat of flipped pixels -1 and +1, from each pixel of x_t alone."""
    r = schedule.at("correlation", timestep, x_t)
    # 0 / 0 where a pixel that was never seen to change is seen flipped, without any noise
    tiny = 1e-6
    return (pixels.mean + r * x_t) / (1 + r * pixels.mean * x_t).clamp(min=tiny)
