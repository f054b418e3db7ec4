"""Zero-shot classification (Radford et al., arXiv 2103.00020, section 3.1.4):

w_c    = normalise(mean over templates of normalise(g(template filled with name of class c)))
logits = s f . w_c             unit image feature f, s = 100
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.clip.distinct import once_per_row
from textdiff.metrics.retrieval import ranks

Weights = Float[Tensor, "classes dim"]


def class_weights(prompt_features: Float[Tensor, "classes templates dim"]) -> Weights:
    """Unit weight (C, D) of each class from its prompts' features (C, templates, D)."""

    def weigh(distinct: Tensor) -> Tensor:
        return F.normalize(F.normalize(distinct, dim=-1).mean(dim=1), dim=-1)

    return once_per_row(weigh, prompt_features)


def zero_shot_logits(
    image_features: Float[Tensor, "images dim"], weights: Weights, logit_scale: float = 100.0
) -> Float[Tensor, "images classes"]:
    """(n, C) from image features (n, D) of any length and class weights (C, D)."""
    images = logit_scale * F.normalize(image_features, dim=-1)
    return once_per_row(lambda distinct: distinct @ images.T, weights).T


def zero_shot_ranks(
    logits: Float[Tensor, "images classes"], labels: Int[Tensor, " images"]
) -> Int[Tensor, " images"]:
    """Rank (n,) of the right class, ties against it; top-k accuracy is `(ranks <= k).mean()`."""
    classes = torch.arange(logits.shape[1], device=labels.device)
    return ranks(logits, labels[:, None] == classes)
