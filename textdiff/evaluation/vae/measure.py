"""Pictures reconstructed, and what their latents are.

picture ── encoder ──► q(z|x) ── mean ──► decoder ──► 8 bits: PSNR, SSIM, judges
                         └─► moments of z over pictures and places, KL to N(0, I)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textdiff.data.base import CaptionedImages
from textdiff.errors import DataError
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.per_item import values_by_item
from textdiff.evaluation.vae.result import Channel, Judged, VaeModelProtocol, VaeResult
from textdiff.metrics.bootstrap import (
    RESAMPLES,
    Estimate,
    estimate,
    estimate_mean,
    estimate_means,
    means_of_draws,
    resample_in_parts,
)
from textdiff.metrics.features import distinct_captions
from textdiff.metrics.images import WINDOW, psnr, ssim
from textdiff.metrics.paired import Clustered, estimate_difference
from textdiff.metrics.paired_kernel import LARGEST, paired_kid_estimate
from textdiff.metrics.retrieval import image_text_retrieval
from textdiff.pictures import to_float, to_uint8
from textdiff.types import Features, PerSample, Pictures
from textdiff.vae import Vae
from textdiff.vae.loss import to_bits

PerChannel = Float[Tensor, "pictures channels"]


@dataclass(frozen=True)
class Reconstructed:
    """n pictures, what the VAE makes of them, and their latents, by picture and channel.

    ssim: nan of pictures that are too small for it. means, squares: E[z] and E[z^2] over the
    places, z ~ q(z|x). kl: to N(0, 1), in nats.
    """

    names: list[str]
    captions: list[list[str]]
    pictures: Pictures
    again: Pictures
    psnr: PerSample
    ssim: PerSample
    means: PerChannel
    squares: PerChannel
    kl: PerChannel

    def __len__(self) -> int:
        return len(self.names)


@torch.no_grad()
def reconstruct(
    vae: Vae, data: CaptionedImages, limit: int | None, batch_size: int
) -> Reconstructed:
    """The first `limit` pictures of the split, or all.

    Raises:
        DataError: fewer than two pictures that can be used.
    """
    from tqdm import tqdm

    count = min(len(data), limit or len(data))
    used, parts, large = [], [], data.image_size >= WINDOW
    starts = range(0, count, batch_size)
    for start in tqdm(starts, desc="reconstructing", leave=False, disable=None):
        indices, pictures = data.usable(range(start, min(start + batch_size, count)))
        if not indices:
            continue
        used += indices
        q = vae.moments(to_float(pictures))
        again = to_uint8(vae.decode(q.mean))
        mean, variance = q.mean.cpu().double(), q.logvar.cpu().double().exp()
        likeness = psnr(pictures, again)
        similarity = ssim(pictures, again) if large else torch.full_like(likeness, math.nan)
        latents = (mean.mean((2, 3)), (mean.square() + variance).mean((2, 3)))
        kl = q.kl_per_element().cpu().double().sum((2, 3))
        parts.append((pictures, again, likeness, similarity, *latents, kl))
    if len(used) < 2:
        raise DataError(f"{data.title}: {len(used)} picture to reconstruct; two or more are needed")
    columns = (torch.cat(column) for column in zip(*parts, strict=True))
    return Reconstructed(
        [data.identifiers[k] for k in used], [data.captions[k] for k in used], *columns
    )


def check_judged(data: CaptionedImages, limit: int | None) -> None:
    """Before pictures are reconstructed for judges.

    Raises:
        DataError: more pictures than KID of pairs takes.
    """
    count = min(len(data), limit or len(data))
    if count > LARGEST:
        raise DataError(
            f"{data.title}: judges compare {LARGEST:,} reconstructions at most, not {count:,}; "
            f"give --limit {LARGEST}, or no --judge"
        )


def measure_vae(done: Reconstructed, judges: Mapping[str, CachedFeatures]) -> VaeResult:
    """judges: CLIPs by name."""
    bits = to_bits(done.kl).sum(1)
    values = {"psnr": done.psnr, "ssim": done.ssim, "kl_bits": bits}
    return VaeResult(
        pictures=len(done),
        psnr=estimate_mean(done.psnr),
        ssim=estimate_mean(done.ssim) if done.ssim.isfinite().all() else None,
        kl_bits=estimate_mean(bits),
        channels=channels_of(done),
        judged={name: judged_by(clip, done) for name, clip in judges.items()},
        per_item={"pictures": values_by_item(done.names, values)},
    )


def channels_of(done: Reconstructed) -> list[Channel]:
    """Every channel, all over the same resamples of pictures."""
    kl_bits = estimate_means(to_bits(done.kl))
    moments = torch.cat([done.means, done.squares], dim=1)
    plain = torch.arange(len(done))[None]
    of_all, drawn = means_of_draws(moments, plain), []
    for draws in resample_in_parts(len(done), RESAMPLES):
        drawn.append(means_of_draws(moments, draws))
    resampled = torch.cat(drawn)
    channels = []
    for channel, bits in enumerate(kl_bits):
        columns = [channel, channel + len(kl_bits)]
        every = (_summary(*of_all[:, columns].T), _summary(*resampled[:, columns].T))
        mean, std, distance = (
            estimate(value.item(), values) for value, values in zip(*every, strict=True)
        )
        channels.append(Channel(mean, std, distance, bits))
    return channels


def _summary(mean: Tensor, square: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, standard deviation, and KL(N(mean, std^2) || N(0, 1))."""
    variance = (square - mean.square()).clamp(min=1e-30)
    return mean, variance.sqrt(), 0.5 * (square - 1 - variance.log())


def judged_by(clip: CachedFeatures, done: Reconstructed) -> Judged:
    """Raises DataError: more pictures than KID of pairs takes."""
    x, y = (_unit(clip, each, done.captions) for each in (done.pictures, done.again))
    scale = x.shape[1] ** 0.5
    kid = paired_kid_estimate(scale * x, scale * y)
    if not all(any(captions) for captions in done.captions):
        return Judged(kid)
    captions = distinct_captions(done.captions)
    texts = clip.of_captions(captions.texts)

    def hits(features: Features) -> Clustered:
        found = image_text_retrieval(features, texts, captions.image, captions.text)
        return Clustered(found.image_to_text.ranks <= 1, torch.arange(len(done)))

    found = estimate_difference(hits(x), hits(y))
    return Judged(kid, found.a, found.b, found.difference)


def _unit(clip: CachedFeatures, pictures: Pictures, captions: Sequence[Sequence[str]]) -> Features:
    return F.normalize(clip.of_pictures(pictures, captions).features, dim=-1)


def vae_protocol(name: str, vae: Vae) -> VaeModelProtocol:
    """name: what the user called it."""
    return VaeModelProtocol(name, vae.identity, vae.factor, vae.latent_channels)


def farthest(channels: Sequence[Channel]) -> Estimate:
    """The distance from N(0, 1) of the channel that is farthest from it."""
    return max((channel.distance for channel in channels), key=lambda each: each.value)
