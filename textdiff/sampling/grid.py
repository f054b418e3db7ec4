"""Which N of the T timesteps a sampler visits (Lin et al., arXiv 2305.08891, table 2).

    trailing   round(T - iT/N) - 1     ends of equal strides; starts at T-1, the default
    leading    i floor(T/N)            starts of equal strides; never sees the noisiest steps
    linspace   round(i(T-1)/(N-1))     both ends

Rounding is half to even.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Spacing = Literal["trailing", "leading", "linspace"]


def timestep_grid(num_timesteps: int, num_steps: int, spacing: Spacing = "trailing") -> Tensor:
    """Ascending timesteps (num_steps,) int64 out of 0..num_timesteps-1.

    Raises:
        ValueError: num_steps outside 1..T (2..T for linspace), or an unknown spacing.
    """
    T, N = num_timesteps, num_steps
    if not (2 if spacing == "linspace" else 1) <= N <= T:
        raise ValueError(f"num_steps must lie in 1..{T} (linspace: 2..{T}), got {N}")
    if spacing == "trailing":
        steps = sorted(round(T - i * T / N) - 1 for i in range(N))
    elif spacing == "leading":
        steps = [i * (T // N) for i in range(N)]
    elif spacing == "linspace":
        steps = [round(i * (T - 1) / (N - 1)) for i in range(N)]
    else:
        raise ValueError(f"unknown spacing {spacing!r}; use trailing, leading or linspace")
    return torch.tensor(steps)
