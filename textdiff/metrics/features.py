"""Retrieval on the features of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.clip.features import CHUNK, image_features, text_features
from textdiff.clip.model import ClipModel
from textdiff.data.base import CaptionedImages
from textdiff.metrics.retrieval import Numbers, Retrieval, image_text_retrieval


def all_captions(data: CaptionedImages, indices: Sequence[int]) -> tuple[list[str], Numbers]:
    """Every caption (m) of the images with these n indices, and which image each describes: (m,)
    positions 0..n-1 in `indices`."""
    texts = [(text, i) for i, index in enumerate(indices) for text in data.captions[index]]
    return [text for text, _ in texts], torch.tensor([image for _, image in texts])


@dataclass(frozen=True)
class SplitRetrieval:
    """Retrieval among images of a split.

    image_of_text: (m,) which image each caption describes.
    num_truncated: captions that the text tower saw cut.
    """

    retrieval: Retrieval
    image_of_text: Tensor
    num_truncated: int

    @property
    def num_images(self) -> int:
        return self.retrieval.text_to_image.num_candidates


def retrieval_on(
    clip: ClipModel, data: CaptionedImages, limit: int | None = None
) -> SplitRetrieval:
    """Retrieval among the first `limit` images of a split and all their captions; images that
    cannot be used are left out.

    Raises:
        DataError: too many images cannot be used.
    """
    count = min(len(data), limit or len(data))
    features, used = [], []
    for start in range(0, count, CHUNK):
        indices, images = data.usable(range(start, min(start + CHUNK, count)))
        features.append(image_features(clip, images))
        used += indices
    captions, image_of_text = all_captions(data, used)
    retrieval = image_text_retrieval(
        torch.cat(features), text_features(clip, captions), image_of_text
    )
    return SplitRetrieval(retrieval, image_of_text, clip.tokenize(captions).num_truncated)
