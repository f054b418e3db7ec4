"""The normal distribution function Phi where it is nearly 0."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def scaled_tail(z: Tensor) -> Tensor:
    """2 Phi(z) e^{z^2/2}, which neither vanishes nor overflows for z <= 0."""
    return torch.special.erfcx(-z * math.sqrt(0.5))


def log_normal_cdf(z: Tensor) -> Tensor:
    """log Phi(z), exact in both tails; `torch.special.log_ndtr` does not run on MPS."""
    left = (scaled_tail(z.clamp(max=0)) / 2).log() - z.square() / 2
    return torch.where(z < -1, left, torch.log1p(-torch.erfc(z * math.sqrt(0.5)) / 2))
