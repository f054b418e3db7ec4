"""Latents as training reads them: what a VAE says of a picture, and x_0 drawn from it.

    pictures ── encoder, always as many at once ──► rows: mean, or mean and logvar, float16
    rows ── z = mean + exp(logvar / 2) eps ── normalised ──► x_0     eps of (seed, step, sample id)

Rows are rounded to float16 whether they are kept on disk or not: z then moves by at most 2^-11 of
its size and its deviation by 1%, far below what a decoder shows in 8 bits, at half of the space. So
training reads the same bits with a cache and without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.pictures import to_float
from textdiff.training.config import Kept
from textdiff.types import Images, Pictures
from textdiff.vae import LatentCodec, Posterior, Vae
from textdiff.vae.passes import at_once

AT_ONCE = 16  # sums over a picture may be rounded in another way in a batch of another size


@dataclass(frozen=True)
class LatentEncoder:
    """Posteriors of the pictures that `codec` encodes.

    kept: "mean" alone, which is then x_0, or all that is needed to have x_0 "sampled".
    """

    codec: LatentCodec
    kept: Kept = "sampled"

    @property
    def vae(self) -> Vae:
        return self.codec.vae

    @property
    def sampled(self) -> bool:
        """Whether x_0 is drawn."""
        return self.kept == "sampled"

    @property
    def row_shape(self) -> tuple[int, int, int]:
        """(C, h, w), or (2 C, h, w) with log-variances."""
        channels, height, width = self.codec.shape
        return channels * (2 if self.sampled else 1), height, width

    @torch.no_grad()
    def rows(self, pictures: Pictures) -> Tensor:
        """(B, *row_shape) float16 where the VAE is; a picture's row does not depend on the others.
        In float32 whatever the training's precision."""
        device = self.vae.device
        with torch.autocast(device.type, enabled=False):
            return torch.cat([self._rows(part.to(device)) for part in pictures.split(self._size)])

    @property
    def _size(self) -> int:
        """Pictures of each pass, fewer where they are large."""
        return min(AT_ONCE, at_once(self.codec.image_size**2))

    def _rows(self, pictures: Pictures) -> Tensor:
        missing = self._size - len(pictures)
        full = F.pad(pictures, (0, 0, 0, 0, 0, 0, 0, missing))
        posterior = self.vae.moments(to_float(full))
        kept = [posterior.mean, posterior.logvar] if self.sampled else [posterior.mean]
        return torch.cat(kept, dim=1)[: len(pictures)].half()

    def x_0(self, images: Tensor, eps: Images | None = None) -> Images:
        """Normalised latents (B, C, h, w).

        Args:
            images: rows, or the pictures (B, 3, S, S) uint8 that they are of.
            eps: (B, C, h, w) by which they are drawn; None: their means.
        """
        rows = images if images.is_floating_point() else self.rows(images)
        rows = rows.to(self.vae.device).float()
        mean, logvar = rows.chunk(2, dim=1) if self.sampled else (rows, None)
        if eps is not None and logvar is not None:
            mean = Posterior(mean, logvar).sample(eps.to(mean.device))
        return self.codec.statistics.normalise(mean)


def fixed_of(vae: Vae, kept: Kept) -> dict[str, Any]:
    """Which latents, as JSON: what a resumed run must not change."""
    space = vae.space.model_dump(mode="json")
    return {"vae": vae.identity, "latent_space": space, "latents": kept}
