"""How likely a picture is: the variational bound on -log p(x_0), in bits per dimension.

    -log p(x_0) <= L_T + sum_{t=1}^{T-1} L_t + L_0                (DDPM, arXiv 2006.11239, eq. 5)
    L_T = KL(q(x_T | x_0) || N(0, I))
    L_t = KL(q(x_{t-1} | x_t, x_0) || N(mean_hat, sigma^2))
    L_0 = -log P,  P = Phi((x_0 + d - mean_hat) / sigma) - Phi((x_0 - d - mean_hat) / sigma)

    KL of Gaussians 1 and 2 with variances s_1, s_2:
    ((m_1 - m_2)^2 / s_2 + s_1 / s_2 - 1 - log(s_1 / s_2)) / 2

The 256 grey levels share the line: d = 1/255, and the outer bins reach to infinity (DDPM eq. 13).
The exact Phi is used, not its tanh approximation. Bits/dim = nats / (C H W log 2), here as a mean.

Without bias from K < T timesteps: with 1..T-1 cut into K-1 strata of sizes n_k, and t_k uniform in
stratum k,

    sum_{t=1}^{T-1} L_t = E[ sum_k n_k L_{t_k} ]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from textdiff.diffusion.config import VarianceType
from textdiff.diffusion.normal import scaled_tail
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.diffusion.variance import log_variance
from textdiff.types import Denoise, PerSample, Prediction, Samples, Timesteps

HALF_BIN = 1 / 255
# Standard deviations to the end of the line: beyond any bin, and with squares that are float32.
FAR = 1e18


def normal_kl(mean_1: Tensor, log_var_1: Tensor, mean_2: Tensor, log_var_2: Tensor) -> Tensor:
    """KL(N(mean_1, var_1) || N(mean_2, var_2)) in nats, elementwise; arguments broadcast."""
    difference = log_var_1 - log_var_2
    distance = (mean_1 - mean_2).square() * torch.exp(-log_var_2)
    return (distance + torch.expm1(difference) - difference) / 2


def discretised_log_prob(x_0: Samples, mean: Samples, log_var: Tensor) -> Tensor:
    """log P of grey levels under N(mean, var), elementwise in nats (DDPM eq. 13, exact Phi).

    x_0: one of the 256 levels 2u/255 - 1.
    """
    scale = torch.exp(-log_var / 2)
    upper, lower = ((x_0 + side * HALF_BIN - mean) * scale for side in (1, -1))
    upper = torch.where(x_0 > 1 - HALF_BIN, FAR, upper)
    lower = torch.where(x_0 < HALF_BIN - 1, -FAR, lower)
    return _log_normal_interval(lower, upper)


def _log_normal_interval(lower: Tensor, upper: Tensor) -> Tensor:
    """log(Phi(upper) - Phi(lower)), exact in both tails, and so are its derivatives.

    An interval on the right is mirrored to the left. In the tail, a < b <= 0, this is the logarithm
    of e^{-b^2/2} (E(b) - e^{(b - a)(b + a)/2} E(a)) / 2 with E(z) = e^{z^2/2} erfc(-z / sqrt 2).
    """
    right = lower + upper > 0
    a, b = torch.where(right, -upper, lower), torch.where(right, -lower, upper)
    tail = b <= 0
    # both branches are differentiated, so each is kept from the other's singular side
    low, high = torch.where(tail, a, -2.0), torch.where(tail, b, -1.0)
    rest = scaled_tail(high) - torch.exp((high - low) * (high + low) / 2) * scaled_tail(low)
    in_tail = torch.log(rest / 2) - high.square() / 2
    low, high = torch.where(tail, -1.0, a), torch.where(tail, 1.0, b)
    around_0 = torch.log(torch.special.ndtr(high) - torch.special.ndtr(low))
    return torch.where(tail, in_tail, around_0)


def bound_term(
    schedule: NoiseSchedule,
    prediction: Prediction,
    x_0: Samples,
    x_t: Samples,
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
    first = (timestep == 0).view(-1, *[1] * (x_0.ndim - 1))
    # elsewhere the mean may lie so far off that a gradient of this term would be NaN
    nll = -discretised_log_prob(x_0, torch.where(first, mean_hat, x_0), log_var_hat)
    return bits_per_dim(torch.where(first, nll, kl))


def bound_terms(
    denoise: Denoise,
    chain: NoiseSchedule,
    x_0: Samples,
    noise: Callable[[Timesteps], Samples],
    term: Callable[[Prediction, Samples, Samples, Timesteps], PerSample],
    indices: Iterable[Timesteps],
) -> Iterator[tuple[Timesteps, PerSample]]:
    """Yields (index, L_t in bits/dim) per entry of `indices`, both (B,): a timestep for each image.

    With all indices 0..T-1 the terms and `prior_term` add up to the bound.

    Args:
        chain: the model's schedule, or that respaced, whose bound it then is.
        noise: eps (B, ...) for the timesteps (B,) that the network is told.
        term: L_t of (prediction, x_0, x_t, index), such as `bound_term` of chain and variance.
        indices: steps of `chain`; its timesteps only where it is not respaced.
    """
    timesteps = chain.timesteps.to(x_0.device)
    for index in indices:
        timestep = timesteps[index]
        with torch.no_grad():
            x_t = chain.add_noise(x_0, noise(timestep), index)
            terms = term(denoise(x_t, timestep), x_0, x_t, index)
        yield index, terms


def strata(num_timesteps: int, count: int) -> Tensor:
    """Edges (count + 1,) of `count` strata of 0..T-1; stratum k is edges[k]..edges[k + 1] - 1.

    Timestep 0 is one of its own, and the others' sizes grow with t: terms fall about as 1/t, so
    that strata of this kind err least.

    Raises:
        ValueError: a count outside 2..T (T = 1: other than 1).
    """
    fewest = min(2, num_timesteps)
    if not fewest <= count <= num_timesteps:
        raise ValueError(f"the number of strata must lie in {fewest}..{num_timesteps}, got {count}")
    edges = [0, 1]
    for left in range(count - 1, 0, -1):
        ratio = (num_timesteps / edges[-1]) ** (1 / left)
        edges.append(max(edges[-1] + 1, round(edges[-1] * ratio)))
    return torch.tensor(edges)


def stratified_timesteps(edges: Tensor, uniforms: Tensor) -> Tensor:
    """One timestep per stratum, (B, K) int64, of uniforms (B, K) in [0, 1) and edges (K + 1,)."""
    return edges[:-1] + (uniforms.double() * edges.diff()).long()


def prior_term(schedule: NoiseSchedule, x_0: Samples) -> PerSample:
    """L_T in bits/dim, (B,): how far x_T is from pure noise. The network has no part in it."""
    last = torch.full((len(x_0),), schedule.num_timesteps - 1, device=x_0.device)
    mean = schedule.at("signal", last, x_0) * x_0
    log_var = torch.log1p(-schedule.at("alphas_cumprod", last, x_0))
    zero = torch.zeros((), dtype=x_0.dtype, device=x_0.device)
    return bits_per_dim(normal_kl(mean, log_var, zero, zero))


def bits_per_dim(nats: Samples) -> PerSample:
    """Nats per element (B, ...) to bits per dimension (B,)."""
    return nats.flatten(1).mean(1) / math.log(2)
