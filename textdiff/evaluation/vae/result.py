"""What `textdiff vae` finds: how like pictures their reconstructions are; what latents are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.protocol import ClipProtocol, DataProtocol
from textdiff.evaluation.results import OMIT_NONE
from textdiff.metrics.bootstrap import Estimate

Measured = Annotated[Estimate | None, OMIT_NONE]


@dataclass(frozen=True)
class VaeModelProtocol:
    """A VAE. weights: their hash. factor: pixels a side per place of the latents."""

    name: str
    weights: str
    factor: int
    latent_channels: int


@dataclass(frozen=True, kw_only=True)
class VaeProtocol:
    metric: str = (
        "VAE: PSNR in dB and SSIM per picture, KID of pairs (unit features times sqrt(D)), R@1 "
        "image to text, moments of latents"
    )
    vae: VaeModelProtocol
    data: DataProtocol
    judges: dict[str, ClipProtocol]


@dataclass(frozen=True)
class Channel:
    """One channel of the latents z ~ q(z|x), over pictures and places.

    distance: KL(N(mean, std^2) || N(0, 1)) in nats: 0 where its mean and deviation are those that
    samples of N(0, I) have. kl_bits: KL(q(z|x) || N(0, 1)), bits a picture.
    """

    mean: Estimate
    std: Estimate
    distance: Estimate
    kl_bits: Estimate


@dataclass(frozen=True)
class Judged:
    """By a CLIP. kid: of reconstructions beside the originals.

    originals, reconstructions: share that finds its own caption first among all; difference: of
    the second to the first, in pairs. None: there are pictures without a caption.
    """

    kid: Estimate
    originals: Measured = None
    reconstructions: Measured = None
    difference: Measured = None


@dataclass(frozen=True)
class VaeResult:
    """ssim: None of pictures below 11 pixels a side. judged: by the judge's name. per_item: of
    "pictures", by their names: psnr, ssim, kl_bits."""

    pictures: int
    psnr: Estimate
    kl_bits: Estimate
    channels: list[Channel]
    ssim: Measured = None
    judged: dict[str, Judged] = field(default_factory=dict)
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        yield "PSNR", self.psnr
        if self.ssim:
            yield "SSIM", self.ssim
        yield "KL, bits a picture", self.kl_bits
        for name, judged in self.judged.items():
            yield f"KID by {name}", judged.kid
            if judged.originals and judged.reconstructions and judged.difference:
                yield f"R@1 of originals by {name}", judged.originals
                yield f"R@1 of reconstructions by {name}", judged.reconstructions
                yield f"R@1, difference by {name}", judged.difference
