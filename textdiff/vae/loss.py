"""What a VAE minimises: reconstruction and rate of each sample, per dimension of its picture.

    D = C H W of the pictures x;  x_hat: what the decoder says of z

    l1         mean |x - x_hat|
    l2         mean (x - x_hat)^2
    gaussian   mean -log N(x; x_hat, s^2) = ((x - x_hat)^2 / s^2 + log s^2 + log 2 pi) / 2
    rate       KL(q(z|x) || N(0, I)) / D

    loss = reconstruction + kl_weight rate

With the Gaussian and kl_weight 1 it is -ELBO / D (Kingma & Welling, arXiv 1312.6114, eq. 3). Latent
diffusion (arXiv 2112.10752, section G) has the same loss times D, with a kl_weight of about 1e-6.

Bits. Pictures of 256 levels are dequantised: a level u becomes the interval of width 1/127.5 around
2u/255 - 1, uniformly (Theis et al., arXiv 1511.01844, section 3.1). The mean log density over an
interval is at most the log probability of its level over its width, so

    bits/dim <= (gaussian + rate) / log 2 + log2 127.5
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from textdiff.pictures import HALF_RANGE
from textdiff.types import PerSample, Samples
from textdiff.vae.posterior import Posterior

LEVEL_BITS = math.log2(HALF_RANGE)  # what a density over [-1, 1] has too few of, per level


def l1(x: Samples, x_hat: Samples) -> PerSample:
    """Mean absolute difference."""
    return (x - x_hat).abs().flatten(1).mean(1)


def l2(x: Samples, x_hat: Samples) -> PerSample:
    """Mean squared difference."""
    return (x - x_hat).square().flatten(1).mean(1)


def gaussian_nll(x: Samples, x_hat: Samples, log_variance: Float[Tensor, ""]) -> PerSample:
    """-log N(x; x_hat, s^2), mean over dimensions; log_variance: log s^2, one for all."""
    squared = l2(x, x_hat) * (-log_variance).exp()
    return 0.5 * (squared + log_variance + math.log(2 * math.pi))


def rate(posterior: Posterior, x: Samples) -> PerSample:
    """KL to N(0, I) per dimension of the pictures x."""
    return posterior.kl() / x[0].numel()


def dequantised(x: Samples, uniform: Samples) -> Samples:
    """Pictures in [-1, 1] of 256 levels, each level moved within its interval.

    uniform: in [0, 1), of the shape of x.
    """
    return x + (uniform - 0.5) / HALF_RANGE


def to_bits(nats: Tensor) -> Tensor:
    """Nats to bits: of a rate, or of anything that is no density."""
    return nats / math.log(2)


def density_to_bits(nats: Tensor) -> Tensor:
    """-log of a density over [-1, 1], nats per dimension, to bits per dimension of 256 levels."""
    return to_bits(nats) + LEVEL_BITS


def best_log_variance(mean_squared_error: float) -> float:
    """log s^2 at which `gaussian_nll` of pictures with this error is least."""
    return math.log(mean_squared_error)
