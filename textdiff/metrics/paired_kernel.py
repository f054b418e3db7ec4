"""Kernel distance of pairs, such as pictures x_i and their reconstructions y_i:

    MMD^2 = mean over i != j of  k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(y_i, x_j)

(Gretton et al. 2012, JMLR 13, lemma 6, eq. 4), with KID's kernel k = (x.y / D + 1)^3 (arXiv
1801.01401). `kid` of the two sets would count the pairs (x_i, y_i) too, which are alike because one
was made of the other, and come out too low by about 2 (k(x, x) - mean k) / n.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.errors import DataError
from textdiff.metrics.bootstrap import (
    RESAMPLES,
    Estimate,
    count_draws,
    estimate_of_finite,
    resample_in_parts,
)
from textdiff.metrics.feature_sets import check_sets

LARGEST = 8192  # pairs: their n x n terms are held, in float64


def paired_kid_estimate(
    x: Float[Tensor, "n dim"], y: Float[Tensor, "n dim"], resamples: int = RESAMPLES
) -> Estimate:
    """KID of pairs with its interval over pairs; a pair and its own repeat make no term.

    Raises:
        DataError: fewer than two pairs, more than 8,192, or numbers that are not finite.
    """
    check_sets(x, y, rows=2)
    if len(x) > LARGEST:
        raise DataError(f"{len(x)} pairs; KID of pairs takes {LARGEST} at most, give a limit")
    terms = _cubic(x, x) + _cubic(y, y)
    between = _cubic(x, y)
    terms -= between + between.T
    terms.fill_diagonal_(0.0)
    n = len(x)
    value = terms.sum().item() / (n * (n - 1))
    parts = resample_in_parts(n, resamples)
    return estimate_of_finite(value, torch.cat([_resampled(terms, draws) for draws in parts]))


def _resampled(terms: Float[Tensor, "n n"], draws: Tensor) -> Float[Tensor, " resamples"]:
    counts = count_draws(draws)
    pairs = counts.sum(1).square() - counts.square().sum(1)
    return ((counts @ terms) * counts).sum(1) / pairs


def _cubic(x: Tensor, y: Tensor) -> Float[Tensor, "n n"]:
    return (x.double() @ y.double().T / x.shape[1] + 1) ** 3
