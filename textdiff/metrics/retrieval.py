"""Retrieval between images and texts, and how well generated images follow prompts.

    rank(q) = 1 + #{wrong candidates c : score(q, c) >= max over right r of score(q, r)}
    R@k     = mean over q of [rank(q) <= k]

Ties count against, and so does a score that is not a number. By chance, with m right ones among N
candidates in random order,

    R@k = 1 - C(N - m, k) / C(N, k)        which is k / N for m = 1.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textdiff.errors import DataError

CHUNK = 1024  # queries scored at once: 100 MB of float32 scores against 25,000 candidates


def ranks(scores: Float[Tensor, "q n"], correct: Bool[Tensor, "q n"]) -> Int[Tensor, " q"]:
    """Rank of each query's best right candidate, 1 the best, wrong ones that tie before it."""
    best = scores.masked_fill(~correct, -math.inf).amax(dim=1, keepdim=True)
    not_beaten = ~(scores < best)  # unlike >=, true for NaN on either side
    return 1 + (not_beaten & ~correct).sum(dim=1)


def chance_recall(num_candidates: int, num_correct: int, k: int) -> float:
    """Expected [rank <= k] of candidates in random order."""
    misses = math.comb(num_candidates - num_correct, k)
    return 1 - misses / math.comb(num_candidates, k) if k < num_candidates else 1.0


def image_text_retrieval(
    image_features: Float[Tensor, "n dim"],
    text_features: Float[Tensor, "m dim"],
    image_of_text: Int[Tensor, " m"],
    ks: tuple[int, ...] = (1, 5, 10),
) -> dict[str, dict[str, float | Tensor]]:
    """Image-to-text (any of the image's captions) and text-to-image (every caption is a query).

    Args:
        image_features: (n, D) of any length.
        text_features: (m, D) of any length, m >= n.
        image_of_text: (m,) which image each text describes, 0..n-1.

    Returns:
        Under "image_to_text" and "text_to_image": "R@k" and "chance R@k" for each k, "median_rank",
        "mean_rank", and "ranks", (n,) and (m,); `ranks <= k` are the hits to bootstrap.

    Raises:
        DataError: an image has no text, or a text no image.
    """
    num_images = len(image_features)
    if len(image_of_text) != len(text_features):
        raise DataError(f"{len(text_features)} texts, but {len(image_of_text)} image numbers")
    if not bool(((image_of_text >= 0) & (image_of_text < num_images)).all()):
        raise DataError(f"image_of_text must lie in 0..{num_images - 1}")
    texts_per_image = torch.bincount(image_of_text, minlength=num_images)
    if (lonely := int((texts_per_image == 0).sum())) > 0:
        first = int((texts_per_image == 0).nonzero()[0])
        raise DataError(f"{lonely} images have no caption, the first is number {first}")
    images = F.normalize(image_features, dim=-1)
    texts = F.normalize(text_features, dim=-1)
    own = torch.arange(num_images, device=image_of_text.device)
    one = torch.ones_like(image_of_text)
    return {
        "image_to_text": _direction(images, own, texts, image_of_text, texts_per_image, ks),
        "text_to_image": _direction(texts, image_of_text, images, own, one, ks),
    }


def prompt_following(
    image_features: Float[Tensor, "n dim"],
    prompt_features: Float[Tensor, "N dim"],
    target: Int[Tensor, " n"],
    ks: tuple[int, ...] = (1, 5),
) -> dict[str, float | Tensor]:
    """How often the prompt an image was made for ranks among the first k of all prompts.

    The features should come from a CLIP that took no part in making the images.

    Args:
        image_features: (n, D) of any length.
        prompt_features: (N, D) of distinct prompts, of any length; two equal ones tie, and fail.
        target: (n,) which prompt each image was made for, 0..N-1.

    Returns: as one direction of `image_text_retrieval`.
    """
    prompts = F.normalize(prompt_features, dim=-1)
    images = F.normalize(image_features, dim=-1)
    number = torch.arange(len(prompts), device=target.device)
    return _direction(images, target, prompts, number, torch.ones_like(target), ks)


def _direction(
    queries: Float[Tensor, "q dim"],
    query_group: Int[Tensor, " q"],
    candidates: Float[Tensor, "n dim"],
    candidate_group: Int[Tensor, " n"],
    num_correct: Int[Tensor, " q"],
    ks: tuple[int, ...],
) -> dict[str, float | Tensor]:
    """A candidate is right for the queries of its group; a query has num_correct (q,) such."""
    found = torch.cat(
        [
            ranks(some @ candidates.T, group[:, None] == candidate_group)
            for some, group in zip(queries.split(CHUNK), query_group.split(CHUNK), strict=True)
        ]
    )
    result: dict[str, float | Tensor] = {}
    for k in ks:
        chances = [chance_recall(len(candidates), m, k) for m in num_correct.tolist()]
        result[f"R@{k}"] = (found <= k).double().mean().item()
        result[f"chance R@{k}"] = math.fsum(chances) / len(chances)
    result["median_rank"] = found.double().quantile(0.5).item()
    result["mean_rank"] = found.double().mean().item()
    result["ranks"] = found
    return result
