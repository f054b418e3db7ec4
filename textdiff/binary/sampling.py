"""Ancestral sampling of binary pictures (SPEC S10.7), some of their pixels perhaps known.

    x_T: fair coins;     x_{t-1} = +1 where u < Q_t(x_t), else -1,     u ~ U[0, 1)

The loop draws standard normals z; u = Phi(z) is uniform. The comparison is made in the logarithm,
log Phi(z) < log sigmoid(logit Q), which is exact at both ends: Q = 1 always gives +1, Q = 0 never.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.binary.prediction import (
    BinaryDenoise,
    BinaryPrediction,
    reverse_logits,
)
from textdiff.binary.schedule import BinarySchedule
from textdiff.diffusion.normal import log_normal_cdf
from textdiff.types import Images, Timesteps


def fair_coins(z: Images) -> Images:
    """x_T of standard normals: +1 where Phi(z) < 1/2."""
    return torch.where(z < 0, 1.0, -1.0)


@dataclass(frozen=True)
class BinaryAncestral:
    """One draw of each pixel per step, the last step included."""

    def update(
        self,
        x_t: Images,
        predictions: Sequence[BinaryPrediction],
        chain: BinarySchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Images:
        """x at the next less noisy step of `chain`; see `sampling.base.Sampler.update`."""
        timestep = torch.full((len(x_t),), index, device=x_t.device)
        logits = reverse_logits(chain, predictions[-1], x_t, timestep)
        log_u = log_normal_cdf(noise().to(logits.dtype))
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
        said = denoise(x_t, timestep)
        known = init.expand_as(x_t) * torch.inf
        if said.predicts == "posterior":  # of every step, so timesteps are those of `schedule`
            known = schedule.posterior_logits(init.expand_as(x_t), x_t, timestep)
        return BinaryPrediction(torch.where(redraw, said.logits, known), said.predicts)

    return knowing
