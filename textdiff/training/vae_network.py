"""What a VAE's training computes in one pass: q(z|x), z, x_hat, and the decoder's variance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from textdiff.types import Images, Samples
from textdiff.vae.model import decode, encode

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

SPEED = 10.0  # a learning rate that is right for weights moves a logarithm too slowly


class VaeNetwork(nn.Module):
    """The autoencoder, and the variance of its Gaussian decoder.

    variance: of all pixels; None: learned.
    """

    def __init__(self, autoencoder: AutoencoderKL, variance: float | None) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        if variance is None:
            self.raw_log_variance: Tensor = nn.Parameter(torch.zeros(()))
        else:
            fixed = torch.tensor(math.log(variance) / SPEED)
            self.register_buffer("raw_log_variance", fixed, persistent=False)

    @property
    def log_variance(self) -> Tensor:
        """log s^2 of the Gaussian decoder, a scalar."""
        return SPEED * self.raw_log_variance

    @property
    def last_layer(self) -> nn.Parameter:
        """Weights of the decoder's last layer."""
        return self.autoencoder.decoder.conv_out.weight

    def forward(self, x: Images, eps: Samples) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """mean and logvar of q(z|x), x_hat of z, and log s^2."""
        posterior = encode(self.autoencoder, x)
        x_hat = decode(self.autoencoder, posterior.sample(eps))
        return posterior.mean, posterior.logvar, x_hat, self.log_variance
