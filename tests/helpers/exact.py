"""Denoisers whose samples are known exactly, and what is needed to run samplers on them.

Gaussian data N(m, d^2):  x_0_hat = m + a d^2 (x_t - a m) / D2,   D2 = ac d^2 + 1 - ac
    (x_t - a m) / sqrt(D2) is constant along a trajectory of the exact ODE
points p_k, weights w_k:  x_0_hat = sum_k softmax_k(log w_k - (x_t - a p_k)^2 / (2 b^2)) p_k
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.prediction import from_x_0
from textdiff.sampling import sample
from textdiff.types import Denoise, Prediction


def gaussian(schedule: NoiseSchedule, mean, std: float) -> Denoise:
    """The exact denoiser of data N(mean, std^2)."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        m = torch.as_tensor(mean, dtype=x_t.dtype)
        ac = schedule.at("alphas_cumprod", timestep, x_t)
        residual = (x_t - ac.sqrt() * m) / (ac * std**2 + 1 - ac)
        x_0 = m + ac.sqrt() * std**2 * residual
        return Prediction(x_0=x_0, eps=schedule.at("noise", timestep, x_t) * residual)

    return denoise


def gaussian_flow(x: Tensor, start: Tensor, end: Tensor, mean, std: float) -> Tensor:
    """Where the exact ODE takes x from ac = start to ac = end."""

    def spread(ac: Tensor) -> Tensor:
        return (ac * std**2 + 1 - ac).sqrt()

    return end.sqrt() * mean + spread(end) * (x - start.sqrt() * mean) / spread(start)


def points(schedule: NoiseSchedule, where: Tensor, weights: Tensor) -> Denoise:
    """The exact denoiser of data that take the values `where` (K,) with probabilities `weights`."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        a, b = (schedule.at(name, timestep, x_t)[..., None] for name in ("signal", "noise"))
        logits = weights.log() - (x_t[..., None] - a * where).square() / (2 * b**2)
        x_0 = (logits.softmax(-1) * where).sum(-1)
        return from_x_0(schedule, x_0, x_t, timestep)

    return denoise


def with_mix(denoise: Denoise, mix: float) -> Denoise:
    """`denoise` with a learned variance that is `mix` everywhere."""

    def mixed(x_t: Tensor, timestep: Tensor) -> Prediction:
        said = denoise(x_t, timestep)
        return Prediction(said.x_0, said.eps, torch.full_like(x_t, mix))

    return mixed


def no_noise() -> Tensor:
    raise AssertionError("noise was drawn")


def standard_normal(shape: tuple[int, ...], seed: int) -> Callable[[], Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, generator=rng, dtype=torch.float64)


def final(*arguments) -> Tensor:
    """x of the last step of `sample(*arguments)`."""
    *_, last = sample(*arguments)
    return last.x_t
