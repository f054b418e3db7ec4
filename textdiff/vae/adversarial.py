"""A discriminator of patches, and how much its word counts.

    D(x)            a real number for each patch of a picture (PatchGAN, pix2pix, arXiv 1611.07004)
    discriminator   mean (max(0, 1 - D(x)) + max(0, 1 + D(x_hat))) / 2, the hinge loss
    generator       -mean D(x_hat)
    weight          |grad_L reconstruction| / (|grad_L generator| + 1e-6), at most 1e4
                    L: weights of the decoder's last layer (VQGAN, arXiv 2012.09841, eq. 7)

Group norms in place of pix2pix's batch norms: a picture's patches are judged by themselves, so that
several processes are one with a larger batch.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textdiff.types import Images, PerSample

Verdicts = Float[Tensor, "batch 1 height width"]

SLOPE = 0.2  # of the leaky ReLU below 0
HIGHEST = 1e4  # of the adaptive weight, as in the authors' code
TINY = 1e-6
INIT_STD = 0.02


class PatchDiscriminator(nn.Module):
    """Size is halved `layers` times, channels doubled, up to 8 times; then a verdict per place.

    Args:
        channels: of the first layer, a multiple of 8.
        layers: halvings; a patch is 16 pixels a side with 1, 34 with 2, 70 with 3.
    """

    def __init__(self, channels: int = 32, layers: int = 2) -> None:
        super().__init__()
        widths = [channels * min(2**level, 8) for level in range(layers + 1)]
        blocks: list[nn.Module] = [nn.Conv2d(3, channels, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for level, (inner, outer) in enumerate(itertools.pairwise(widths), 1):
            stride = 2 if level < layers else 1
            blocks += [
                nn.Conv2d(inner, outer, 4, stride, 1, bias=False),
                nn.GroupNorm(8, outer),
                nn.LeakyReLU(SLOPE),
            ]
        self.body = nn.Sequential(*blocks, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, INIT_STD)

    def forward(self, images: Images) -> Verdicts:
        """Of images (B, 3, H, W) in [-1, 1]: above 0 where a patch looks real."""
        return self.body(images)


def discriminator_loss(real: Verdicts, fake: Verdicts) -> PerSample:
    """Hinge loss of the verdicts on pictures and on their reconstructions."""
    return 0.5 * (F.relu(1 - real) + F.relu(1 + fake)).flatten(1).mean(1)


def generator_loss(fake: Verdicts) -> PerSample:
    """What makes reconstructions look real."""
    return -fake.flatten(1).mean(1)


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor) -> Float[Tensor, ""]:
    """The weight of the generator's loss, from the gradients of both losses by the last layer's
    weights: finite whatever these are, 0 where one is not finite."""
    ratio = reconstruction.detach().norm() / (adversarial.detach().norm() + TINY)
    return torch.nan_to_num(ratio, nan=0.0, posinf=HIGHEST).clamp(0.0, HIGHEST)
