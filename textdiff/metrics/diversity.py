"""Diversity among the pictures of one prompt:

    diversity(prompt) = mean over its pictures i < j of 1 - cos(f_i, f_j)

0 where they are all equal, 1 where they have nothing in common, and at most P / (P - 1) for P of
them. With the features of a CLIP of the held-out pictures of a caption as a ceiling, it tells
whether guidance has made all pictures of a prompt one. The interval is over prompts, whose pictures
are no independent observations.

No two pictures need be compared one by one: with s the sum of a prompt's unit features,

    |s|^2 = P + 2 sum over i < j of cos(f_i, f_j)
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textdiff.types import Features


def diversity_of_prompts(image_features: Features, per_prompt: int) -> Float[Tensor, " prompts"]:
    """Mean cosine distance between pictures of each prompt, float64; `estimate_mean` of it is the
    metric with its interval.

    Args:
        image_features: (N per_prompt, D) of any length, those of the first prompt first.
        per_prompt: pictures of each, two or more.

    Raises:
        ValueError: fewer than two pictures of a prompt, or pictures that are not whole prompts.
    """
    if per_prompt < 2 or len(image_features) % per_prompt:
        raise ValueError(
            f"{len(image_features)} pictures, {per_prompt} of each prompt; "
            "give two or more of each, as many of all"
        )
    unit = F.normalize(image_features.detach().cpu().double(), dim=-1)
    squared = unit.unflatten(0, (-1, per_prompt)).sum(dim=1).square().sum(dim=1)
    cosine = (squared - per_prompt) / (per_prompt * (per_prompt - 1))
    return (1 - cosine).clamp(min=0)
