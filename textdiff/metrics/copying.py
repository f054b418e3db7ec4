"""Nearest training pictures, and whether drawn pictures are nearer to them than new ones would be:

    s(p)    = max over training pictures t of cos(f_p, f_t)
    t_q     = q-quantile of s over held-out real pictures
    copying = share of drawn pictures with s > t_q                  by chance 1 - q

A model that only learned the distribution draws pictures that lie as near to the training set as
held-out ones do; the comparison is that of Meehan et al. (arXiv 2004.05675). Drawn pictures above
the threshold are to be looked at beside their nearest training picture. A fixed threshold, as
Somepalli et al. (arXiv 2212.03860) take 0.5 for features that were trained to find copies (SSCD),
would mean something else for each model of features; a quantile means the same for all.

The interval is over drawn pictures, with the threshold as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textdiff.errors import DataError
from textdiff.metrics.bootstrap import RESAMPLES, Estimate, estimate_mean
from textdiff.metrics.feature_sets import DrawnFeatures, RealFeatures, check_sets
from textdiff.metrics.tiles import tiles_between

QUANTILE = 0.95
FEWEST_ABOVE = 5  # held-out pictures above the threshold, for it to be known


@dataclass(frozen=True)
class Nearest:
    """index: (n,) of the most similar row, the first of several. similarity: (n,) its cosine."""

    index: Int[Tensor, " n"]
    similarity: Float[Tensor, " n"]


@dataclass(frozen=True)
class Copying:
    """copied: (n,) which drawn pictures lie nearer than the threshold. threshold: t_q, a cosine.
    share: of them, with its interval. chance: 1 - q."""

    copied: Bool[Tensor, " n"]
    threshold: float
    share: Estimate
    chance: float


def nearest_pictures(x: DrawnFeatures, training: RealFeatures) -> Nearest:
    """The training picture that is most like each of x, in tiles.

    Raises:
        DataError: no rows, numbers that are not finite.
        ValueError: widths that differ.
    """
    check_sets(x, training, rows=1)
    index = torch.zeros(len(x), dtype=torch.int64)
    best = torch.full((len(x),), -torch.inf)
    for tile in tiles_between(x, training, torch.float32, unit=True):
        value, where = tile.products.max(dim=1)
        better = value > best[tile.rows]
        best[tile.rows] = torch.where(better, value, best[tile.rows])
        index[tile.rows] = torch.where(better, where + tile.columns.start, index[tile.rows])
    pairs = (x, training[index.to(training.device)])
    left, right = (F.normalize(rows.detach().cpu().double(), dim=-1) for rows in pairs)
    return Nearest(index, (left * right).sum(dim=1))


def copied_share(
    drawn: Float[Tensor, " n"],
    held_out: Float[Tensor, " h"],
    quantile: float = QUANTILE,
    group: int = 1,
    resamples: int = RESAMPLES,
) -> Copying:
    """How many drawn pictures are copies, as far as similarity tells.

    Args:
        drawn, held_out: similarity to the nearest of the same training pictures, as
            `nearest_pictures` gives it.
        quantile: q, in 0..1.
        group: how many drawn pictures in a row are resampled as one, such as those of a prompt.

    Raises:
        ValueError: a quantile that is not between 0 and 1.
        DataError: too few held-out pictures to know the quantile.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile {quantile}; give one between 0 and 1")
    needed = round(FEWEST_ABOVE / (1 - quantile))
    if len(held_out) < needed:
        raise DataError(
            f"{len(held_out)} held-out pictures, too few for their {quantile:.0%} quantile; "
            f"give {needed} or more"
        )
    threshold = held_out.double().quantile(quantile).item()
    copied = drawn > threshold
    share = estimate_mean(copied, torch.arange(len(copied)) // group, resamples)
    return Copying(copied, threshold, share, 1 - quantile)
