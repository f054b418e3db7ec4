"""Densities that training timesteps are drawn from, and the draw by inverse CDF.

uniform   p(t) = 1/T
log_snr   p(t) proportional to the step in log-SNR around t: uniform over noise levels
power     t = floor(T u^k), u uniform: k = 1 is uniform, a larger k prefers little noise
"""

from __future__ import annotations

import torch
from torch import Tensor

from textdiff.diffusion.config import DensityConfig
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import PerSample, Timesteps


def timestep_density(config: DensityConfig, schedule: NoiseSchedule) -> Tensor:
    """p(t), (T,) float64, of sum 1."""
    T = schedule.num_timesteps
    if config.density == "log_snr" and T > 1:
        # pure noise has no finite log-SNR; it gets its neighbour's share
        finite = schedule.half_log_snr[schedule.half_log_snr.isfinite()]
        steps = -finite.diff() if len(finite) > 1 else torch.ones(1, dtype=torch.float64)
        steps = torch.cat([steps[:1], steps, steps[-1:].expand(T - len(finite) + 1)])
        weights = (steps[:-1] + steps[1:]) / 2
    else:
        edges = torch.arange(T + 1, dtype=torch.float64) / T
        weights = (edges ** (1 / config.power)).diff()
    return weights / weights.sum()


def draw_timesteps(density: Tensor, uniforms: PerSample) -> Timesteps:
    """The t at which the running sum of `density` first exceeds u, for each u in [0, 1)."""
    drawn = torch.searchsorted(density.cumsum(0), uniforms.double(), right=True)
    return drawn.clamp(max=len(density) - 1)  # the sum may round to less than 1
