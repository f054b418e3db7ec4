"""Retrieval between images and texts, and how well generated images follow prompts.

    rank(q) = 1 + #{wrong candidates c : score(q, c) >= max over right r of score(q, r)}
    R@k     = mean over q of [rank(q) <= k]
    median  = of rank(q), the mean of the middle two of an even number

Ties count against, and so does a score that is not a number. Candidates with equal features tie.
By chance, with m right ones among N candidates in random order,

    R@k = 1 - C(N - m, k) / C(N, k)        which is k / N for m = 1.

C(N - m, k) / C(N, k) is computed as C(N - k, m) / C(N, m): m is small where k may be large.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textdiff.clip.distinct import once_per_row
from textdiff.errors import DataError
from textdiff.metrics.pair_ranks import pair_ranks

Numbers = Int[Tensor, " n"]  # ranks, labels, or indices of n things


def ranks(scores: Float[Tensor, "q n"], correct: Bool[Tensor, "q n"]) -> Int[Tensor, " q"]:
    """Rank of each query's best right candidate, 1 the best, wrong ones that tie before it."""
    best = scores.masked_fill(~correct, -math.inf).amax(dim=1, keepdim=True)
    not_beaten = ~(scores < best)  # unlike >=, true for NaN on either side
    return 1 + (not_beaten & ~correct).sum(dim=1)


def chance_recall(num_candidates: int, num_correct: int, k: int) -> float:
    """Expected [rank <= k] of candidates in random order."""
    misses = math.comb(max(0, num_candidates - k), num_correct)
    return 1 - misses / math.comb(num_candidates, num_correct)


@dataclass(frozen=True)
class Ranking:
    """Where the right candidates ended among all, for the queries of one kind.

    ranks: (q,) of each query's best right candidate, 1 the best; `ranks <= k` are the hits.
    num_correct: (q,) how many candidates are right for each.
    """

    ranks: Numbers
    num_correct: Numbers
    num_candidates: int

    def recall(self, k: int) -> float:
        """R@k."""
        return float((self.ranks <= k).double().mean())

    @property
    def median(self) -> float:
        """Median rank; `estimate_median` of the ranks gives it with its interval."""
        return float(self.ranks.double().quantile(0.5))

    def chance(self, k: int) -> float:
        """R@k of candidates in random order."""
        numbers, counts = self.num_correct.unique(return_counts=True)
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        each = (count * chance_recall(self.num_candidates, m, k) for m, count in pairs)
        return math.fsum(each) / len(self.num_correct)

    @property
    def chance_median(self) -> float:
        """Median rank of candidates in random order, whose share up to k is `chance(k)`."""
        possible = range(1, self.num_candidates + 1)
        lower, upper = (cut(possible, 0.5, key=self.chance) for cut in (bisect_left, bisect_right))
        return (possible[lower] + possible[upper]) / 2


@dataclass(frozen=True)
class Retrieval:
    """Both directions of a search among n images with m texts.

    image_to_text: (n,) queries; any text of the image is right.
    text_to_image: (m,) queries; any image that the text describes is right.
    """

    image_to_text: Ranking
    text_to_image: Ranking

    def directions(self) -> dict[str, Ranking]:
        """Both by name."""
        return {"image_to_text": self.image_to_text, "text_to_image": self.text_to_image}


def image_text_retrieval(
    image_features: Float[Tensor, "n dim"],
    text_features: Float[Tensor, "m dim"],
    image_of_text: Int[Tensor, " pairs"],
    text: Int[Tensor, " pairs"] | None = None,
) -> Retrieval:
    """Ranks of images among texts and of texts among images.

    Args:
        image_features: (n, D) of any length.
        text_features: (m, D) of any length.
        image_of_text: (pairs,) which image each text describes, 0..n-1.
        text: (pairs,) the text of each pair, 0..m-1, where one may describe several images; no pair
            twice. None: each text describes one image, pairs = m.

    Raises:
        DataError: an image has no text, or a text no image.
    """
    num_images, num_texts = len(image_features), len(text_features)
    if text is None:
        text = torch.arange(len(image_of_text), device=image_of_text.device)
        if len(image_of_text) != num_texts:
            raise DataError(f"{num_texts} texts, but {len(image_of_text)} image numbers")
    if not bool(((image_of_text >= 0) & (image_of_text < num_images)).all()):
        raise DataError(f"image_of_text must lie in 0..{num_images - 1}")
    texts_per_image = torch.bincount(image_of_text, minlength=num_images)
    images_per_text = torch.bincount(text, minlength=num_texts)
    for counts, one, other in (
        (texts_per_image, "images", "caption"),
        (images_per_text, "captions", "image"),
    ):
        if (lonely := int((counts == 0).sum())) > 0:
            first = int((counts == 0).nonzero()[0])
            raise DataError(f"{lonely} {one} have no {other}, the first is number {first}")
    images, texts = _unit(image_features), _unit(text_features)
    of_images, of_texts = pair_ranks(images, texts, image_of_text, text)
    return Retrieval(
        Ranking(of_images, texts_per_image, num_texts),
        Ranking(of_texts, images_per_text, num_images),
    )


def prompt_following(
    image_features: Float[Tensor, "n dim"],
    prompt_features: Float[Tensor, "N dim"],
    target: Int[Tensor, " n"],
) -> Ranking:
    """Where the prompt that an image was made for ranks among all prompts.

    The features should come from a CLIP that took no part in making the images.

    Args:
        image_features: (n, D) of any length.
        prompt_features: (N, D) of distinct prompts, of any length; two equal ones tie, and fail.
        target: (n,) which prompt each image was made for, 0..N-1.
    """
    prompts, images = _unit(prompt_features), _unit(image_features)
    ranking, _ = pair_ranks(images, prompts, torch.arange(len(target)), target)
    return Ranking(ranking, torch.ones_like(target), len(prompts))


def _unit(features: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
    return once_per_row(lambda rows: F.normalize(rows, dim=-1), features)
