"""Latents as what is diffused: the third `PictureCodec`, beside pixels and bits.

stored uint8 (B, 3, S, S) ── encoder's mean, normalised ──► x_0 (B, C, S/f, S/f)
x_0 ── restored, decoder ──► stored uint8
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from textdiff.pictures import to_float, to_uint8
from textdiff.types import Images, Pictures, Samples
from textdiff.vae.model import Vae
from textdiff.vae.statistics import LatentStatistics

AT_ONCE = 32  # pictures whose pixels are made before they are 8 bits each


@dataclass(frozen=True)
class LatentCodec:
    """Normalised latents of square pictures.

    Raises:
        UsageError: the VAE's factor does not divide `image_size`.
        CheckpointError: the VAE has no statistics of its latents.
    """

    bounded: ClassVar[bool] = False

    vae: Vae
    image_size: int

    def __post_init__(self) -> None:
        self.vae.latent_shape(self.image_size)
        self.vae.measured()

    @property
    def statistics(self) -> LatentStatistics:
        return self.vae.measured()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.vae.latent_shape(self.image_size)

    @torch.no_grad()
    def encode(self, pictures: Pictures, dtype: torch.dtype = torch.float32) -> Images:
        """The mean of q(z|x), normalised."""
        mean = self.vae.moments(to_float(pictures)).mean
        return self.statistics.normalise(mean).to(pictures.device, dtype)

    def images(self, x_0: Samples) -> Images:
        """float32 (B, 3, S, S), about [-1, 1] and not clipped; gradients flow to x_0."""
        return self.vae.decode(self.statistics.restore(x_0.float()))

    @torch.no_grad()
    def decode(self, x_0: Images) -> Pictures:
        pictures = [to_uint8(self.images(part)) for part in x_0.split(AT_ONCE)]
        return torch.cat(pictures)

    def preview(self, x_0_hat: Images) -> Pictures:
        """By the decoder: what an early x_0_hat shows is as crude as it is."""
        return self.decode(x_0_hat)
