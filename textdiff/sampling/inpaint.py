"""Inpainting: some pixels are known, the others are drawn anew around them.

    known pixels:   x_0_hat = init,   eps_hat = (x_t - sqrt(ac) init) / sqrt(1 - ac)

So every sampler moves a known pixel by its own rule, towards the value it will end on exactly. A
deterministic one keeps it at sqrt(ac') init + sqrt(1 - ac') eps with the eps it started from; an
ancestral one draws it from q(x_{t-1} | x_t, x_0 = init) with fresh noise. Either way it is
distributed as q(x_t | x_0 = init) at each level, which is RePaint's rule (Lugmayr et al., arXiv
2201.09865, eq. 8a), but steps stay correlated as in the forward process, and the noise agrees with
that of the pixels around. (`fixed_large` makes known pixels as much too noisy as all others.) A
guidance gradient is 0 at known pixels.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from textdiff.diffusion.prediction import from_x_0
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Denoise, Prediction, Samples, Timesteps


def inpaint(
    denoise: Denoise, schedule: NoiseSchedule, init: Samples, redraw: torch.Tensor
) -> Denoise:
    """`denoise` that knows the pixels of `init` outside `redraw`. It goes outside of thresholds.

    Start it from `schedule.add_noise(init, eps, timestep)`.

    Args:
        init: (B or 1, C, H, W), x_0 of the picture.
        redraw: (B or 1, 1, H, W) bool, True where pixels are drawn anew.
    """

    def knowing(x_t: Samples, timestep: Timesteps) -> Prediction:
        prediction = denoise(x_t, timestep)
        known = from_x_0(schedule, init.expand_as(x_t), x_t, timestep)
        return replace(
            prediction,
            x_0=torch.where(redraw, prediction.x_0, known.x_0),
            eps=torch.where(redraw, prediction.eps, known.eps),
            gradient=None if prediction.gradient is None else prediction.gradient * redraw,
        )

    return knowing
