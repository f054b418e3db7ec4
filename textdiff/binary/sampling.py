"""Ancestral sampling of binary pictures (D3PM, arXiv 2107.03006), some of their pixels known.

    x_T: fair coins;     x_{t-1} = +1 where u < Q_t(x_t), else -1,     u ~ U[0, 1)

Noise comes as standard normals z; u = Phi(z) is uniform. The comparison is made in the logarithm,
log Phi(z) < log sigmoid(logit Q), which is exact at both ends: Q = 1 always gives +1, Q = 0 never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textdiff.binary.prediction import (
    BinaryDenoise,
    BinaryPrediction,
    reverse_logits,
)
from textdiff.binary.schedule import BinarySchedule
from textdiff.diffusion.normal import log_normal_cdf
from textdiff.timesteps import shared_timestep
from textdiff.types import Images, Timesteps


def fair_coins(z: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """x_T of standard normals: +1 where Phi(z) < 1/2."""
    return torch.where(z < 0, 1.0, -1.0)


@dataclass(frozen=True)
class BinaryStep:
    """One finished step; see `sampling.base.Step`."""

    index: int
    timestep: int
    x_t: Images
    prediction: BinaryPrediction

    @property
    def x_0_hat(self) -> Images:
        """What each pixel is expected to be, in [-1, 1]."""
        return self.prediction.x_0_hat


def sample_binary(
    denoise: BinaryDenoise,
    schedule: BinarySchedule,
    grid: Tensor,
    x_T: Images,
    noise: Callable[[], Tensor],
) -> Iterator[BinaryStep]:
    """Yields a step per entry of the ascending `grid` (N,); the sample is the last one's x_t.

    x_T: (B, C, H, W) fair coins; or, to start from a picture, one noised to grid[-1].
    noise: draws z ~ N(0, I) of x_T's shape; coins are drawn on the last step too.
    """
    chain = schedule.respaced(grid)
    x_t = x_T
    for index in reversed(range(chain.num_timesteps)):
        timestep = int(chain.timesteps[index])
        with torch.no_grad():
            prediction = denoise(x_t, shared_timestep(timestep, len(x_t), x_t.device))
            x_t = ancestral_step(chain, prediction, x_t, index, noise())
        yield BinaryStep(index, timestep, x_t, prediction)


def ancestral_step(
    chain: BinarySchedule, prediction: BinaryPrediction, x_t: Images, index: int, z: Tensor
) -> Images:
    """x at the next less noisy step of `chain`, one draw per pixel. z ~ N(0, I), of x_t's shape."""
    timestep = torch.full((len(x_t),), index, device=x_t.device)
    logits = reverse_logits(chain, prediction, x_t, timestep)
    log_u = log_normal_cdf(z.to(x_t.dtype).to(logits.dtype))
    return torch.where(log_u < F.logsigmoid(logits), 1.0, -1.0).to(x_t.dtype)


def binary_inpaint(
    denoise: BinaryDenoise, schedule: BinarySchedule, init: Images, redraw: Tensor
) -> BinaryDenoise:
    """`denoise` that knows the pixels of `init` outside `redraw`; each step then draws them from
    q(x_{t-1} | x_t, x_0 = init), and the last one gives `init`. It goes outside of guidance.

    Args:
        init: (B or 1, 1, H, W) in {-1, +1}.
        redraw: (B or 1, 1, H, W) bool, True where pixels are drawn anew.
    """

    def knowing(x_t: Images, timestep: Timesteps) -> BinaryPrediction:
        prediction = denoise(x_t, timestep)
        known = init.expand_as(x_t) * torch.inf
        if prediction.predicts == "posterior":  # of single steps: timesteps are `schedule`'s
            known = schedule.posterior_logits(init.expand_as(x_t), x_t, timestep)
        return BinaryPrediction(torch.where(redraw, prediction.logits, known), prediction.predicts)

    return knowing
