"""Retrieval on the features of a data set, as a training measures it along the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from textdiff.clip.features import CHUNK, image_features, text_features
from textdiff.clip.model import ClipModel
from textdiff.data.base import CaptionedImages
from textdiff.metrics.retrieval import Numbers, Retrieval, image_text_retrieval


@dataclass(frozen=True)
class Captions:
    """The distinct captions of n images, and which describes which: a caption that several images
    have is one, and right for each of them.

    texts: m of them. image, text: (pairs,) positions 0..n-1 and 0..m-1.
    """

    texts: list[str]
    image: Numbers
    text: Numbers

    @property
    def owner(self) -> Numbers:
        """(m,) the first image that each describes."""
        first = torch.full((len(self.texts),), len(self.image))
        return first.scatter_reduce(0, self.text, self.image, "amin")


def captions_of(data: CaptionedImages, indices: Sequence[int]) -> Captions:
    """Of the images with these n indices."""
    return distinct_captions([data.captions[index] for index in indices])


def distinct_captions(captions: Sequence[Sequence[str]]) -> Captions:
    """Of n images with these captions each, in the order in which they are met."""
    number: dict[str, int] = {}
    pairs = [
        (image, number.setdefault(text, len(number)))
        for image, own in enumerate(captions)
        for text in dict.fromkeys(own)
    ]
    image, text = torch.tensor(pairs).T
    return Captions(list(number), image, text)


@dataclass(frozen=True)
class SplitRetrieval:
    """Retrieval among images of a split.

    captions: the distinct ones. num_truncated: of these, those that the text tower saw cut.
    """

    retrieval: Retrieval
    captions: Captions
    num_truncated: int

    @property
    def num_images(self) -> int:
        return self.retrieval.text_to_image.num_candidates


def retrieval_on(
    clip: ClipModel, data: CaptionedImages, limit: int | None = None
) -> SplitRetrieval:
    """Retrieval among the first `limit` images of a split and their distinct captions; images that
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
    captions = captions_of(data, used)
    text = text_features(clip, captions.texts)
    retrieval = image_text_retrieval(torch.cat(features), text, captions.image, captions.text)
    return SplitRetrieval(retrieval, captions, clip.tokenize(captions.texts).num_truncated)
