"""Difference of two means over the same items, such as two models on the same prompts:

    d_b = mean of b over the items of resample r - mean of a over the same items,   r = 1..B

Paired percentile bootstrap (Efron and Tibshirani 1993, chapters 8 and 13). What is common to both,
such as which prompts are hard, cancels, so the interval of the difference is narrower than two
intervals side by side let one guess. An item with several values, such as the pictures of a prompt,
is drawn with all of them on both sides; it may have more of them on one side than on the other.

    found = estimate_difference(Clustered(a, item_of_a), Clustered(b, item_of_b))
    found.difference        # Estimate of b - a
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from textdiff.metrics.bootstrap import (
    RESAMPLES,
    Estimate,
    estimate,
    means_of_draws,
    resample_in_parts,
)


@dataclass(frozen=True)
class Clustered:
    """values: (n,) numbers or bools. item: (n,) which item each is of, 0..m-1."""

    values: Shaped[Tensor, " n"]
    item: Int[Tensor, " n"]

    def means(self, draws: Int[Tensor, "resamples m"]) -> Float[Tensor, " resamples"]:
        """Over the values of the drawn items."""
        return means_of_draws(self.values[:, None], draws, self.item)[:, 0]


@dataclass(frozen=True)
class PairedMeans:
    """a, b: the mean of either side. difference: b - a. All over the same resamples."""

    a: Estimate
    b: Estimate
    difference: Estimate


def estimate_difference(a: Clustered, b: Clustered, resamples: int = RESAMPLES) -> PairedMeans:
    """Both means and their difference, with intervals over items.

    Raises:
        ValueError: an item that either side has no value of.
    """
    items = {int(each.item.max()) + 1 if len(each.item) else 0 for each in (a, b)}
    count = max(items)
    if len(items) > 1 or any(len(each.item.unique()) < count for each in (a, b)) or not count:
        raise ValueError("items that one side has no value of; leave them out on both")
    plain = torch.arange(count)[None]
    of_all = [each.means(plain) for each in (a, b)]
    parts = resample_in_parts(count, resamples, width=max(len(a.item), len(b.item)))
    drawn = [(a.means(draws), b.means(draws)) for draws in parts]
    resampled = [torch.cat(each) for each in zip(*drawn, strict=True)]
    return PairedMeans(
        a=estimate(of_all[0].item(), resampled[0]),
        b=estimate(of_all[1].item(), resampled[1]),
        difference=estimate((of_all[1] - of_all[0]).item(), resampled[1] - resampled[0]),
    )
