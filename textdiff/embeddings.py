"""What networks see of a timestep, and of a CLIP feature.

freq_i = 10000^(-i / half),  half = dim // 2
timestep_embedding = [cos(t freq), sin(t freq)]     an odd dim gets a zero at the end
                                                    (Vaswani et al., arXiv 1706.03762, section 3.5)
scaled_feature     = sqrt(E) z / |z|                coordinates have mean square 1, as noise has
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

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
