"""Which N of the T timesteps a sampler visits.

    trailing   round(T - iT/N) - 1        ends of equal strides; the default
    leading    i floor(T/N)               starts of equal strides; never sees the noisiest steps
    linspace   round(i(T-1)/(N-1))        both ends, uniform in t
    log_snr    uniform in log sigma       sigma = sqrt((1 - ac) / ac), log sigma = -half_log_snr
    karras     uniform in sigma^(1/7)     closer together where there is little noise

The first three are table 2 of Lin et al. (arXiv 2305.08891), rounded half to even. log_snr is
that of DPM-Solver (arXiv 2206.00927), karras of EDM (arXiv 2206.00364, eq. 5). The last two take
the timestep nearest in log sigma. They spread over 0..T-2 and then move the noisiest to T-1: there
cosine's capped beta leaves almost no signal, and zero terminal SNR none, so that log sigma is far
from its neighbour's or infinite and targets in between would have no timestep near. Nor do they
spread past the first timestep with an SNR below 1e-12, from where on x_t is noise and nothing else:
constant binary schedules may spend most of their timesteps there.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from textdiff.sampling.config import Spacing

RHO = 7
MAX_LOG_SIGMA = 6 * math.log(10)  # SNR 1e-12


@runtime_checkable
class Levels(Protocol):
    """What a grid asks of a schedule with T timesteps.

    half_log_snr: (T,) float64, falling.
    """

    @property
    def num_timesteps(self) -> int: ...

    @property
    def half_log_snr(self) -> Tensor: ...


def timestep_grid(schedule: Levels, num_steps: int, spacing: Spacing = "trailing") -> Tensor:
    """Ascending timesteps (num_steps,) int64 of `schedule`, no two the same.

    The noisiest is T-1, where sampling starts, in every spacing but leading.

    Raises:
        ValueError: num_steps outside 1..T, or an unknown spacing.
    """
    if not 1 <= num_steps <= schedule.num_timesteps:
        raise ValueError(f"num_steps must lie in 1..{schedule.num_timesteps}, got {num_steps}")
    if spacing not in SPACINGS:
        raise ValueError(f"unknown spacing {spacing!r}; use one of {', '.join(SPACINGS)}")
    grid = SPACINGS[spacing](schedule, num_steps)
    if spacing != "leading":
        grid[-1] = schedule.num_timesteps - 1
    return _pushed_apart(grid, schedule.num_timesteps)


def _pushed_apart(grid: Tensor, num_timesteps: int) -> Tensor:
    """Equal neighbours moved up to the next free timestep, or down where there is none above."""
    i = torch.arange(len(grid))
    return (grid - i).cummax(0).values.clamp(max=num_timesteps - len(grid)) + i


def _trailing(schedule: Levels, num_steps: int) -> Tensor:
    T = schedule.num_timesteps
    i = torch.arange(num_steps, dtype=torch.float64).flip(0)
    return (T - i * T / num_steps).round().long() - 1


def _leading(schedule: Levels, num_steps: int) -> Tensor:
    return torch.arange(num_steps) * (schedule.num_timesteps // num_steps)


def _linspace(schedule: Levels, num_steps: int) -> Tensor:
    i = torch.arange(num_steps, dtype=torch.float64)
    return (i * (schedule.num_timesteps - 1) / max(num_steps - 1, 1)).round().long()


def _log_snr(schedule: Levels, num_steps: int) -> Tensor:
    log_sigma = _log_sigma(schedule)
    low, high = log_sigma[0], log_sigma[-2:][0]
    return _nearest(log_sigma, torch.linspace(low, high, num_steps, dtype=torch.float64))


def _karras(schedule: Levels, num_steps: int) -> Tensor:
    log_sigma = _log_sigma(schedule)
    low, high = (log_sigma[0] / RHO).exp(), (log_sigma[-2:][0] / RHO).exp()
    root = torch.linspace(low, high, num_steps, dtype=torch.float64)
    return _nearest(log_sigma, RHO * root.log())


def _log_sigma(schedule: Levels) -> Tensor:
    return (-schedule.half_log_snr).clamp(max=MAX_LOG_SIGMA)


def _nearest(table: Tensor, values: Tensor) -> Tensor:
    """Index of the entry of the ascending `table` nearest to each of `values`, the first of equal
    ones."""
    above = torch.searchsorted(table, values).clamp(max=len(table) - 1)
    below = (above - 1).clamp(min=0)
    return torch.where(values - table[below] < table[above] - values, below, above)


SPACINGS = {
    "trailing": _trailing,
    "leading": _leading,
    "linspace": _linspace,
    "log_snr": _log_snr,
    "karras": _karras,
}
