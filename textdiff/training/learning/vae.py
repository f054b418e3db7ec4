"""What a VAE makes of held-out pictures; in words: does it learn, do its latents say anything.

pictures, reconstructions, posteriors ──► VaeNumbers ──► metrics.jsonl, in words, verdict
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.metrics.images import psnr
from textdiff.training.settings.vae import Objective
from textdiff.types import PerSample, Pictures
from textdiff.vae.loss import density_to_bits, to_bits

PSNR, FLAT = "held_out/psnr", "held_out/psnr_of_mean_colour"
KL, USED, CHANNELS = "held_out/kl_bits", "held_out/channels_used", "held_out/channels"
BOUND = "held_out/bits_per_dim"
DISTORTION, RATE = "held_out/distortion_bits_per_dim", "held_out/rate_bits_per_dim"
SAYS_SOMETHING = 1.0  # bits a picture: a channel that says less has collapsed


@dataclass(frozen=True)
class VaeNumbers:
    """Of n pictures.

    psnr: of the reconstructions from the posterior's mean. flat: of each picture's mean colour.
    kl: nats of each picture. channel_kl: by channel of the latents. nll: of the Gaussian decoder at
    a drawn z, nats per dimension.
    """

    psnr: PerSample
    flat: PerSample
    kl: PerSample
    channel_kl: Float[Tensor, "batch channels"]
    nll: PerSample
    dimensions: int

    @staticmethod
    def of(
        pictures: Pictures,
        again: Pictures,
        *,
        kl: PerSample,
        channel_kl: Float[Tensor, "batch channels"],
        nll: PerSample,
    ) -> VaeNumbers:
        """again: the reconstructions."""
        mean = pictures.float().mean((2, 3), keepdim=True).round().byte().expand_as(pictures)
        flat = psnr(pictures, mean)
        return VaeNumbers(psnr(pictures, again), flat, kl, channel_kl, nll, pictures[0].numel())

    @staticmethod
    def merge(parts: Iterable[VaeNumbers]) -> VaeNumbers:
        parts = list(parts)
        return VaeNumbers(
            psnr=torch.cat([part.psnr for part in parts]),
            flat=torch.cat([part.flat for part in parts]),
            kl=torch.cat([part.kl for part in parts]),
            channel_kl=torch.cat([part.channel_kl for part in parts]),
            nll=torch.cat([part.nll for part in parts]),
            dimensions=parts[0].dimensions,
        )

    def values(self, objective: Objective) -> dict[str, float]:
        """By the names in metrics.jsonl. Of the objective elbo the bound and its two terms too."""
        by_channel = to_bits(self.channel_kl).mean(0)
        values = {
            PSNR: self.psnr.mean().item(),
            FLAT: self.flat.mean().item(),
            KL: to_bits(self.kl).mean().item(),
            USED: float((by_channel >= SAYS_SOMETHING).sum()),
            CHANNELS: float(len(by_channel)),
        }
        if objective == "elbo":
            distortion = density_to_bits(self.nll).mean().item()
            rate = values[KL] / self.dimensions
            values |= {BOUND: distortion + rate, DISTORTION: distortion, RATE: rate}
        return values

    @staticmethod
    def in_words(values: Mapping[str, float]) -> str:
        """Of what `values` returned."""
        parts = [
            f"reconstructions {values[PSNR]:.1f} dB (mean colours {values[FLAT]:.1f})",
            f"KL {values[KL]:,.0f} bits a picture",
        ]
        if BOUND in values:
            parts.append(
                f"bound {values[BOUND]:.3f} bits/dim ({values[DISTORTION]:.3f} of the pixels, "
                f"{values[RATE]:.3f} of the latents)"
            )
        return ", ".join(parts)

    @staticmethod
    def verdict(values: Mapping[str, float], step: int) -> list[str]:
        """Whether it learns; and whether channels of the latents have collapsed."""
        if PSNR not in values:
            return []
        gain = values[PSNR] - values[FLAT]
        fact = f"reconstructions of held-out pictures are {gain:+.1f} dB above their mean colours"
        if step == 0:
            return [f"before training: {fact}"]
        used, channels = int(values[USED]), int(values[CHANNELS])
        if gain <= 0:
            return [
                f"not learning yet: {fact}",
                "if this lasts: a lower --loss.kl-weight if no channel says anything "
                f"({used} of {channels} do), --check overfit, another --train.lr",
            ]
        lines = [f"learning: {fact}"]
        if used < channels:
            lines.append(
                f"{channels - used} of {channels} latent channels have collapsed to N(0, 1) and "
                "say nothing; a lower --loss.kl-weight would use them"
            )
        return lines
