"""What networks see of a timestep, and of a CLIP feature.

freq_i = 10000^(-i / half),  half = dim // 2
timestep_embedding = [cos(t freq), sin(t freq)]     an odd dim gets a zero at the end
                                                    (Vaswani et al., arXiv 1706.03762, section 3.5)
scaled_feature     = sqrt(E) z / |z|                coordinates have mean square 1, as noise has
slerp(a, b, s)     = (sin((1-s) w) a + sin(s w) b) / sin w,   w the angle between a and b
                                                    (Shoemake, SIGGRAPH 1985)
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.types import Features, PerSample, Timesteps


def timestep_embedding(
    timestep: Timesteps | PerSample,
    dim: int,
    max_period: float = 10_000.0,
    dtype: torch.dtype = torch.float32,
) -> Features:
    """Sinusoids of `timestep` (B,), 0..T-1, as (B, dim) in [-1, 1]; cosines first.

    `dtype` is that of the computation: half precision would not tell 998 from 999.
    """
    half = dim // 2
    index = torch.arange(half, dtype=dtype, device=timestep.device)
    frequency = torch.exp(-math.log(max_period) * index / half)
    angle = timestep.to(dtype)[:, None] * frequency
    return F.pad(torch.cat([angle.cos(), angle.sin()], dim=1), (0, dim % 2))


def scaled_feature(feature: Features) -> Features:
    """A CLIP feature (B, E) of any norm but 0, scaled to norm sqrt(E)."""
    return F.normalize(feature, dim=-1) * math.sqrt(feature.shape[-1])


def slerp(start: Tensor, end: Tensor, share: float) -> Tensor:
    """On the great circle from `start` (0) to `end` (1), both (..., E) of unit length; a straight
    line where they are too close to tell the angle.

    Raises:
        ValueError: they are opposite, so that every way is as short.
    """
    cosine = (start * end).sum(-1, keepdim=True).clamp(-1, 1)
    if (cosine < -1 + 1e-6).any():
        raise ValueError("start and end are opposite; no way between them is the shortest")
    angle = cosine.acos()
    near = angle < 1e-3
    sine = angle.sin().masked_fill(near, 1)
    round_ = (((1 - share) * angle).sin() * start + (share * angle).sin() * end) / sine
    straight = F.normalize((1 - share) * start + share * end, dim=-1)
    return torch.where(near, straight, round_)
