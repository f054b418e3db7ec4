"""The variational bound of binary diffusion in bits/dim: exact, since pixels are discrete.

    -log p(x_0) <= L_T + sum_{t=0}^{T-1} L_t
    L_T = KL(q(x_T | x_0) || fair coins)
    L_t = E[ KL(q(x_{t-1} | x_t, x_0) || Q(x_t)) ] over x_t ~ q(x_t | x_0)

At t = 0 the posterior says x_0 for certain and the divergence is -log Q(x_0). The KL of a
pixel is BCE(Q, q) - H(q), so its gradient on the logit of Q is Q - q.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textdiff.binary.prediction import BinaryDenoise, BinaryPrediction, reverse_logits
from textdiff.binary.schedule import BinarySchedule
from textdiff.diffusion.likelihood import bits_per_dim
from textdiff.types import Images, PerSample, Timesteps

Pixels = Float[Tensor, "*shape"]


def bernoulli_kl(target_logits: Pixels, logits: Pixels) -> Pixels:
    """KL(target || Q) of each pixel in nats, both given by their log-odds; the target's may be
    infinite."""
    target = target_logits.sigmoid()
    entropy = torch.special.entr(target) + torch.special.entr((-target_logits).sigmoid())
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none") - entropy


def bound_term(
    schedule: BinarySchedule,
    prediction: BinaryPrediction,
    x_0: Images,
    x_t: Images,
    timestep: Timesteps,
) -> PerSample:
    """The divergence of L_t at one x_t, in bits/dim, (B,).

    timestep counts the steps of `schedule`: on a respaced chain it is the index, and the bound is
    that of the shorter chain.

    Raises:
        ValueError: as `reverse_logits`.
    """
    logits = reverse_logits(schedule, prediction, x_t, timestep)
    target = schedule.posterior_logits(x_0.to(logits), x_t.to(logits), timestep)
    return bits_per_dim(bernoulli_kl(target, logits))


def bound_terms(
    denoise: BinaryDenoise,
    chain: BinarySchedule,
    x_0: Images,
    uniforms: Callable[[Timesteps], Images],
    indices: Iterable[Timesteps],
) -> Iterator[tuple[Timesteps, PerSample]]:
    """Yields (index, L_t in bits/dim) per entry of `indices`, both (B,): a timestep for each image.

    Args:
        chain: the model's schedule, or that respaced, whose bound it then is.
        uniforms: u ~ U[0, 1) (B, C, H, W) for the timesteps (B,) that the network is told.
        indices: steps of `chain`; its timesteps only where it is not respaced.
    """
    timesteps = chain.timesteps.to(x_0.device)
    for index in indices:
        timestep = timesteps[index]
        with torch.no_grad():
            x_t = chain.add_noise(x_0, uniforms(timestep), index)
            term = bound_term(chain, denoise(x_t, timestep), x_0, x_t, index)
        yield index, term


def prior_term(schedule: BinarySchedule) -> float:
    """L_T in bits/dim, the same for every picture; 0 where x_T holds nothing of x_0."""
    p = schedule.flip_probability[-1]
    entropy = torch.special.entr(p) + torch.special.entr(1 - p)
    return 1 - float(entropy) / math.log(2)
