"""How likely a picture is: the variational bound on -log p(x_0), in bits per dimension.

    -log p(x_0) <= L_T + sum_{t=1}^{T-1} L_t + L_0                (DDPM, arXiv 2006.11239, eq. 5)
    L_T = KL(q(x_T | x_0) || N(0, I))
    L_t = KL(q(x_{t-1} | x_t, x_0) || N(mean_hat, sigma^2))
    L_0 = -log P,  P = Phi((x_0 + d - mean_hat) / sigma) - Phi((x_0 - d - mean_hat) / sigma)

    KL of Gaussians 1 and 2 with variances s_1, s_2:
    ((m_1 - m_2)^2 / s_2 + s_1 / s_2 - 1 - log(s_1 / s_2)) / 2

The 256 grey levels share the line: d = 1/255, and the outer bins reach to infinity (DDPM eq. 13).
The exact Phi is used, not its tanh approximation. Bits/dim = nats / (C H W log 2), here as a mean.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from textdiff.diffusion.config import VarianceType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.diffusion.variance import log_variance
from textdiff.types import Images, PerSample, Prediction, Timesteps

HALF_BIN = 1 / 255
FAR = 1e6  # standard deviations; Phi(-FAR) is 0 and, unlike -inf, has a derivative


def normal_kl(mean_1: Tensor, log_var_1: Tensor, mean_2: Tensor, log_var_2: Tensor) -> Tensor:
    """KL(N(mean_1, var_1) || N(mean_2, var_2)) in nats, elementwise; arguments broadcast."""
    difference = log_var_1 - log_var_2
    distance = (mean_1 - mean_2).square() * torch.exp(-log_var_2)
    return (distance + difference.exp() - 1 - difference) / 2


def discretised_log_prob(x_0: Images, mean: Images, log_var: Tensor) -> Tensor:
    """log P of grey levels under N(mean, var), elementwise in nats (DDPM eq. 13, exact Phi).

    x_0: one of the 256 levels 2u/255 - 1.
    """
    scale = torch.exp(-log_var / 2)
    upper, lower = ((x_0 + side * HALF_BIN - mean) * scale for side in (1, -1))
    upper = torch.where(x_0 > 1 - HALF_BIN, FAR, upper)
    lower = torch.where(x_0 < HALF_BIN - 1, -FAR, lower)
    return _log_normal_interval(lower, upper)


def _log_normal_interval(lower: Tensor, upper: Tensor) -> Tensor:
    """log(Phi(upper) - Phi(lower)), exact in both tails: an interval on the right is mirrored to
    the left, where log Phi loses no digits."""
    right = lower + upper > 0
    low, high = torch.where(right, -upper, lower), torch.where(right, -lower, upper)
    log_high = torch.special.log_ndtr(high)
    ratio = torch.special.log_ndtr(low) - log_high  # below 0
    near = ratio > -math.log(2)
    # both branches are differentiated, so each is kept from the other's singular side
    log_rest = torch.where(
        near,
        torch.log(-torch.expm1(torch.where(near, ratio, -1.0))),
        torch.log1p(-torch.exp(torch.where(near, -1.0, ratio))),
    )
    return log_high + log_rest


def bound_term(
    schedule: NoiseSchedule,
    prediction: Prediction,
    x_0: Images,
    x_t: Images,
    timestep: Timesteps,
    variance: VarianceType,
) -> PerSample:
    """L_t of the bound in bits/dim, (B,); L_0 where the timestep is 0.

    timestep counts the steps of `schedule`: on a respaced chain it is the index, and the bound is
    that of the shorter chain.

    Raises:
        ValueError: a learned variance is asked of a network without one.
    """
    mean_hat, _ = schedule.posterior(prediction.x_0, x_t, timestep)
    log_var_hat = log_variance(schedule, variance, prediction, timestep)
    mean, _ = schedule.posterior(x_0, x_t, timestep)
    log_var = schedule.at("posterior_log_variance_clipped", timestep, x_t)
    kl = normal_kl(mean, log_var, mean_hat, log_var_hat)
    nll = -discretised_log_prob(x_0, mean_hat, log_var_hat)
    first = (timestep == 0).view(-1, *[1] * (x_0.ndim - 1))
    return bits_per_dim(torch.where(first, nll, kl))


def prior_term(schedule: NoiseSchedule, x_0: Images) -> PerSample:
    """L_T in bits/dim, (B,): how far x_T is from pure noise. The network has no part in it."""
    last = torch.full((len(x_0),), schedule.num_timesteps - 1, device=x_0.device)
    mean = schedule.at("signal", last, x_0) * x_0
    log_var = torch.log1p(-schedule.at("alphas_cumprod", last, x_0))
    zero = torch.zeros((), dtype=x_0.dtype, device=x_0.device)
    return bits_per_dim(normal_kl(mean, log_var, zero, zero))


def bits_per_dim(nats: Images) -> PerSample:
    """Nats per element (B, C, H, W) to bits per dimension (B,)."""
    return nats.flatten(1).mean(1) / math.log(2)
