"""What a VAE's discriminator adds to two losses: the decoder's, and its own.

    x_hat ── D ──► -D(x_hat), times weight and the adaptive weight     in the loss of the VAE
    x, x_hat ── D ──► hinge loss                                       of D alone

See `vae.adversarial` for the formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from textdiff.training.adversary import frozen_call
from textdiff.training.task import Adversary
from textdiff.types import Images, PerSample
from textdiff.vae.adversarial import adaptive_weight, discriminator_loss, generator_loss

Reduce = Callable[[Tensor], Tensor]  # the mean of a tensor over all processes


@dataclass
class Discriminator:
    """weight: of the decoder's part. mean: over processes."""

    adversary: Adversary
    weight: float
    mean: Reduce = lambda tensor: tensor
    # pictures and reconstructions of the micro-batch, from the one loss to the other
    _pair: tuple[Images, Images] | None = field(default=None, init=False, repr=False)

    def counts(self, step: int) -> bool:
        return step >= self.adversary.start

    def generator_terms(
        self, x: Images, x_hat: Images, reconstruction: PerSample, last: nn.Parameter
    ) -> dict[str, Tensor]:
        """ "loss", which joins that of the VAE, and what it is made of.

        Args:
            reconstruction: loss that the adaptive weight balances it with.
            last: weights of the decoder's last layer.
        """
        generator = generator_loss(frozen_call(self.adversary.network, x_hat))
        gradients = (self._gradient(each, last) for each in (reconstruction, generator))
        weight = adaptive_weight(*gradients)
        self._pair = x, x_hat.detach()
        return {
            "loss": self.weight * weight * generator,
            "generator": generator.detach(),
            "adaptive_weight": weight,
        }

    def _gradient(self, losses: PerSample, weights: nn.Parameter) -> Tensor:
        """Of the mean over the batches of all processes."""
        (gradient,) = torch.autograd.grad(losses.float().mean(), weights, retain_graph=True)
        return self.mean(gradient)

    def own_losses(self, network: nn.Module) -> dict[str, Tensor]:
        """Of the pictures that `generator_terms` was given and of their reconstructions, in one
        pass of the wrapped `network`.

        diffusers' script for this model had no such loss: its discriminator stayed as it was made
        (huggingface/diffusers#10605).
        """
        assert self._pair is not None
        real, fake = network(torch.cat(self._pair)).float().chunk(2)
        self._pair = None
        return {
            "loss": discriminator_loss(real, fake),
            "real": real.detach().flatten(1).mean(1),
            "fake": fake.detach().flatten(1).mean(1),
        }
