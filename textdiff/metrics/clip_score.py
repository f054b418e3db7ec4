"""CLIP score (Hessel et al., arXiv 2104.08718):

    score(image, text) = w max(cos(image, text), 0)

w = 100 as in torchmetrics, or 2.5 as in the paper, where it is called CLIP-S; the score of a set is
the mean over its pairs. torchmetrics cuts at 0 only after the mean, which differs where single
cosines are negative.

    clip_scores(images, texts)    # cosine x 100
    clip_s(images, texts)         # cosine x 2.5
"""

from __future__ import annotations

import torch.nn.functional as F

from textdiff.types import Features, PerSample

TORCHMETRICS_WEIGHT = 100.0
PAPER_WEIGHT = 2.5


def clip_scores(
    image_features: Features, text_features: Features, weight: float = TORCHMETRICS_WEIGHT
) -> PerSample:
    """Score of each pair, (n,) in [0, weight]; features (n, D) of any length."""
    if image_features.shape != text_features.shape:
        raise ValueError(
            f"image features {tuple(image_features.shape)} and text features "
            f"{tuple(text_features.shape)} must have one shape"
        )
    cosine = (F.normalize(image_features, dim=-1) * F.normalize(text_features, dim=-1)).sum(dim=-1)
    return weight * cosine.clamp(min=0)


def clip_s(image_features: Features, text_features: Features) -> PerSample:
    """CLIP-S of each pair, (n,) in [0, 2.5]; features (n, D) of any length."""
    return clip_scores(image_features, text_features, PAPER_WEIGHT)
