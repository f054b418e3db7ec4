"""Zero-shot classification (Radford et al., arXiv 2103.00020, section 3.1.4):

w_c    = normalise(mean over templates of normalise(g(template filled with name of class c)))
logits = s f . w_c             unit image feature f, s = 100

    top-k           share of the images whose class ranks among the first k
    mean per class  mean over classes of the share of their images that are right

Ties count against, but for classes of one name, which nothing can tell apart: of these the first in
the list is predicted, as open_clip does with the two names that are twice in its list of ImageNet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from textdiff.clip.distinct import once_per_row
from textdiff.metrics.bootstrap import RESAMPLES, Estimate, estimate, resample_in_parts
from textdiff.metrics.retrieval import ranks

LOGIT_SCALE = 100.0

Weights = Float[Tensor, "classes dim"]
Logits = Float[Tensor, "images classes"]
Labels = Int[Tensor, " images"]


def class_weights(prompt_features: Float[Tensor, "classes templates dim"]) -> Weights:
    """Unit weight (C, D) of each class from its prompts' features (C, templates, D)."""

    def weigh(distinct: Tensor) -> Tensor:
        return F.normalize(F.normalize(distinct, dim=-1).mean(dim=1), dim=-1)

    return once_per_row(weigh, prompt_features)


def zero_shot_logits(
    image_features: Float[Tensor, "images dim"], weights: Weights, logit_scale: float = LOGIT_SCALE
) -> Logits:
    """(n, C) from image features (n, D) of any length and class weights (C, D)."""
    images = logit_scale * F.normalize(image_features, dim=-1)
    return once_per_row(lambda distinct: distinct @ images.T, weights).T


def zero_shot_ranks(
    logits: Logits, labels: Labels, name: Int[Tensor, " classes"] | None = None
) -> Labels:
    """Rank (n,) of the right class, ties against it; top-k accuracy is `(ranks <= k).mean()`.

    Args:
        name: (C,) equal numbers for classes of one name; None: all differ. Such a class ranks
            behind those of its name that are listed before it.
    """
    if name is None:
        name = torch.arange(logits.shape[1], device=labels.device)
    same = name[:, None] == name
    earlier = same.tril(diagonal=-1).sum(dim=1)
    return ranks(logits, same[labels]) + earlier[labels]


@dataclass(frozen=True)
class ClassAccuracies:
    """classes: numbers of those that have images, ascending. each: accuracy of each of them.
    mean: over them."""

    classes: list[int]
    each: list[Estimate]
    mean: Estimate


def class_accuracies(
    hits: Shaped[Tensor, " images"], labels: Labels, resamples: int = RESAMPLES
) -> ClassAccuracies:
    """Accuracy by class. Images are resampled within each class, so that none loses all of its.

    Args:
        hits: (n,) whether each image, of one or more, is right; or numbers, whose means are wanted.
        labels: (n,) the class of each.
    """
    classes: list[int] = labels.unique().tolist()
    each, values, total = [], [], torch.zeros(resamples, dtype=torch.float64)
    for number in classes:
        own = hits[labels == number].double()
        parts = resample_in_parts(len(own), resamples, ("bootstrap", "class", number))
        resampled = torch.cat([own[draws].mean(dim=1) for draws in parts])
        values.append(own.mean().item())
        each.append(estimate(values[-1], resampled))
        total += resampled
    mean = estimate(sum(values) / len(values), total / len(classes))
    return ClassAccuracies(classes, each, mean)
