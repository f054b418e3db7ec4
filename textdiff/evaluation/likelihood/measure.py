"""Which pictures `textdiff likelihood` measures, what the model is told of them, and their bounds.

pictures, captions ── Measured, per chunk and timestep ──► prior, terms ──► Bound
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from textdiff.data import EndlessOrder
from textdiff.diffusion.likelihood import stratified_timesteps
from textdiff.errors import UsageError
from textdiff.metrics.likelihood import Bound, noise_of, uniforms_of
from textdiff.randomness import generator

if TYPE_CHECKING:
    from textdiff.commands.likelihood import Captions, LikelihoodSettings
    from textdiff.data import CaptionedImages
    from textdiff.evaluation.likelihood.process import Measured
    from textdiff.pipeline import TextToImage


@dataclass(frozen=True)
class Pictures:
    """What is measured: identifiers and first captions (n), images (n, 3, S, S) uint8."""

    names: list[str]
    captions: list[str]
    images: Tensor


def pick_pictures(data: CaptionedImages, settings: LikelihoodSettings) -> Pictures:
    """Images of the split, unusable ones left out. Raises DataError if these are too many."""
    positions = torch.arange(min(settings.num_images or len(data), len(data)))
    _, chosen = EndlessOrder(len(data), settings.image_seed).at(positions)
    used, images = data.usable(chosen.tolist())
    names = [data.identifiers[index] for index in used]
    return Pictures(names, [data.captions[index][0] for index in used], images)


def captions_of(kind: Captions, own: list[str], seed: int) -> list[str]:
    """What the model is told of each image. Raises UsageError: a single image has no other."""
    if kind == "first":
        return own
    if kind == "none":
        return [""] * len(own)
    if len(own) < 2:
        raise UsageError("--captions shuffled needs two images or more")
    cycle = torch.randperm(len(own), generator=generator(seed, "shuffled captions")).tolist()
    donor = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))  # never the image itself
    return [own[donor[k]] for k in range(len(own))]


def measure(
    pipe: TextToImage,
    process: Measured,
    edges: Tensor,
    pictures: Pictures,
    settings: LikelihoodSettings,
) -> dict[Captions, Bound]:
    """The bound for each kind of captions, with a progress bar."""
    seed, size, names = settings.seed, settings.batch_size, pictures.names
    dtype, device = getattr(torch, settings.dtype), next(pipe.unet.parameters()).device
    pipe.unet.to(dtype)
    captions = {kind: captions_of(kind, pictures.captions, seed) for kind in settings.captions}
    indices = stratified_timesteps(edges, uniforms_of(seed, names, len(edges) - 1))
    bounds = {}
    with tqdm(total=len(captions) * indices.numel(), unit="prediction") as bar:
        for kind, texts in captions.items():
            prior, terms = [], []
            for part in (slice(k, k + size) for k in range(0, len(names), size)):
                x_0 = process.x_0(pictures.images[part]).to(device, dtype)
                conditioning = pipe.clip.conditioning(texts[part])
                eps, steps = noise_of(seed, names[part], x_0), indices[part].T.to(device)
                found = []
                for _, bits in process.terms(conditioning, x_0, eps, steps):
                    found.append(bits.cpu().double())
                    bar.update(len(bits))
                prior.append(process.prior(x_0).cpu().double())
                terms.append(torch.stack(found, dim=1))
            bounds[kind] = Bound(torch.cat(prior), indices, torch.cat(terms), edges)
    return bounds
