"""The bound of captioned images, for each kind of captions that the model may be given.

images, captions ── BoundTerms, per batch and timestep ──► prior, terms ──► Bound ──► result
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from tqdm import tqdm

from textdiff.data import CaptionedImages, EndlessOrder, open_data
from textdiff.data.config import DataConfig
from textdiff.diffusion.config import VarianceType
from textdiff.diffusion.likelihood import strata, stratified_timesteps
from textdiff.errors import EmptySplitError, UsageError
from textdiff.evaluation.likelihood.process import BoundTerms, bound_terms_of
from textdiff.evaluation.likelihood.result import LikelihoodResult, compare, summarise
from textdiff.evaluation.likelihood.settings import CaptionKind
from textdiff.metrics.likelihood import Bound, noise_of, uniforms_of
from textdiff.pipeline import TextToImage
from textdiff.randomness import Stream
from textdiff.sampling.config import Spacing
from textdiff.types import Pictures


@dataclass(frozen=True)
class NamedImages:
    """Images (n, 3, S, S) uint8 with their identifiers and first captions, (n,) each."""

    identifiers: list[str]
    captions: list[str]
    images: Pictures


def measure_likelihood(
    pipe: TextToImage,
    data: CaptionedImages,
    *,
    captions: Sequence[CaptionKind] = ("first",),
    num_images: int | None = None,
    image_seed: int = 0,
    variance: VarianceType | Literal["auto"] = "auto",
    num_steps: int | None = None,
    spacing: Spacing = "trailing",
    estimate: int | None = None,
    clip_denoised: bool = True,
    seed: int = 0,
    batch_size: int = 64,
    dtype: torch.dtype = torch.float32,
) -> LikelihoodResult:
    """Bits/dim of images of the split; the U-Net is left in `dtype`.

    Args: as LikelihoodSettings describes them.

    Raises:
        UsageError: what the model cannot follow, or too few images to shuffle captions.
        DataError: too many images cannot be used.
    """
    source = bound_terms_of(
        pipe, variance=variance, num_steps=num_steps, spacing=spacing, clip_denoised=clip_denoised
    )
    chain = source.chain
    edges = strata_of(chain.num_timesteps, estimate)
    chosen = choose_images(data, num_images, image_seed)
    texts = {kind: captions_of(kind, chosen.captions, seed) for kind in captions}
    pipe.unet.to(dtype)
    bounds = measure_bounds(
        pipe, source, edges, chosen, texts, seed=seed, batch_size=batch_size, dtype=dtype
    )
    return LikelihoodResult(
        pictures=len(chosen.identifiers),
        captions_cut=pipe.clip.tokenize(chosen.captions).num_truncated,
        variance=source.variance,
        num_timesteps=pipe.schedule.num_timesteps,
        num_steps=chain.num_timesteps,
        timesteps_per_picture=len(edges) - 1,
        clip_denoised=source.clip_denoised,
        bounds={kind: summarise(bound, chain.timesteps) for kind, bound in bounds.items()},
        differences=compare(bounds),
        per_picture={
            "identifiers": chosen.identifiers,
            **{kind: bound.total.tolist() for kind, bound in bounds.items()},
        },
    )


def open_split(
    config: DataConfig, split: Literal["auto", "train", "val", "test", "all"]
) -> CaptionedImages:
    """The split; for auto the test images, or val where there are none. Raises EmptySplitError."""
    if split != "auto":
        return open_data(config, split)
    try:
        return open_data(config, "test")
    except EmptySplitError:
        return open_data(config, "val")


def strata_of(num_steps: int, count: int | None) -> Tensor:
    """Edges of `count` strata of the steps; None: one per step. Raises UsageError if there are
    fewer steps."""
    try:
        return strata(num_steps, count or num_steps)
    except ValueError as error:
        raise UsageError(f"--estimate: {error}") from None


def choose_images(data: CaptionedImages, count: int | None, seed: int) -> NamedImages:
    """Up to `count` images of the split (None: all), in an order of the seed; those that cannot
    be used are left out. Raises DataError if these are too many."""
    positions = torch.arange(min(count or len(data), len(data)))
    _, order = EndlessOrder(len(data), seed).at(positions)
    used, images = data.usable(order.tolist())
    identifiers = [data.identifiers[index] for index in used]
    return NamedImages(identifiers, [data.captions[index][0] for index in used], images)


def captions_of(kind: CaptionKind, own: list[str], seed: int) -> list[str]:
    """A caption for each of the images whose own are given.

    Raises:
        UsageError: captions of a single image cannot be shuffled.
    """
    if kind == "first":
        return own
    if kind == "none":
        return [""] * len(own)
    if len(own) < 2:
        raise UsageError("--captions shuffled needs two images or more")
    cycle = Stream(seed, "shuffled captions").permutation(len(own)).tolist()
    donor = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))  # never the image itself
    return [own[donor[k]] for k in range(len(own))]


@torch.no_grad()
def measure_bounds(
    pipe: TextToImage,
    source: BoundTerms,
    edges: Tensor,
    chosen: NamedImages,
    captions: dict[CaptionKind, list[str]],
    *,
    seed: int,
    batch_size: int,
    dtype: torch.dtype,
) -> dict[CaptionKind, Bound]:
    """The bound for each kind of captions, with a progress bar."""
    uniforms = uniforms_of(seed, chosen.identifiers, len(edges) - 1)
    indices = stratified_timesteps(edges, uniforms)
    count, bounds = len(chosen.identifiers), {}
    with tqdm(total=len(captions) * indices.numel(), unit="prediction") as bar:
        for kind, texts in captions.items():
            prior, terms = [], []
            for rows in (slice(k, k + batch_size) for k in range(0, count, batch_size)):
                x_0 = pipe.codec.encode(chosen.images[rows], torch.float64).to(pipe.device, dtype)
                conditioning = pipe.conditioning_of(texts[rows], chosen.images[rows])
                eps = noise_of(seed, chosen.identifiers[rows], x_0)
                batch_terms = []
                for _, bits in source.terms(conditioning, x_0, eps, indices[rows].T.to(x_0.device)):
                    batch_terms.append(bits.cpu().double())
                    bar.update(len(bits))
                prior.append(source.prior(x_0).cpu().double())
                terms.append(torch.stack(batch_terms, dim=1))
            bounds[kind] = Bound(torch.cat(prior), indices, torch.cat(terms), edges)
    return bounds
