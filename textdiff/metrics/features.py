"""Retrieval on the features of a data set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.clip.features import CHUNK, image_features, text_features
from textdiff.clip.model import ClipModel
from textdiff.data.base import CaptionedImages
from textdiff.metrics.retrieval import image_text_retrieval


@dataclass(frozen=True)
class Retrieval:
    """`image_text_retrieval` of `num_images` images; `image_of_text` (m,) says whose each text is,
    `num_truncated` how many texts were cut."""

    directions: dict[str, dict[str, float | Tensor]]
    image_of_text: Tensor
    num_images: int
    num_truncated: int


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
