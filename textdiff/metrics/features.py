"""From images and captions to the features that metrics are functions of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.clip.model import ClipModel
from textdiff.data.base import CaptionedImages
from textdiff.metrics.retrieval import image_text_retrieval
from textdiff.types import Features

CHUNK = 256


@torch.no_grad()
def image_features(clip: ClipModel, images: Tensor) -> Features:
    """Features (n, D) of uint8 images (n, 3, H, W), not normalised, on the CPU."""
    return torch.cat([clip.encode_image(chunk).cpu() for chunk in images.split(CHUNK)])


@dataclass(frozen=True)
class Retrieval:
    """`image_text_retrieval` of `num_images` images; `image_of_text` (m,) says whose each text is,
    `num_truncated` how many texts were cut."""

    directions: dict[str, dict[str, float | Tensor]]
    image_of_text: Tensor
    num_images: int
    num_truncated: int


@torch.no_grad()
def text_features(clip: ClipModel, captions: Sequence[str]) -> Features:
    """Projected features (n, D) of captions, not normalised, on the CPU."""
    chunks = [list(captions[i : i + CHUNK]) for i in range(0, len(captions), CHUNK)]
    return torch.cat([clip.encode_text(chunk).projected.cpu() for chunk in chunks])


def retrieval_on(clip: ClipModel, data: CaptionedImages, limit: int | None = None) -> Retrieval:
    """Retrieval among the first `limit` images of a split and all their captions;
    images that cannot be used are left out.

    Raises:
        DataError: too many images cannot be used.
    """
    count = min(len(data), limit or len(data))
    features, used = [], []
    for start in range(0, count, CHUNK):
        indices, images = data.usable(range(start, min(start + CHUNK, count)))
        features.append(image_features(clip, images))
        used += indices
    texts = [(caption, i) for i, index in enumerate(used) for caption in data.captions[index]]
    captions, owners = zip(*texts, strict=True)
    image_of_text = torch.tensor(owners)
    found = image_text_retrieval(torch.cat(features), text_features(clip, captions), image_of_text)
    cut = clip.tokenize(list(captions)).num_truncated
    return Retrieval(found, image_of_text, len(used), cut)
