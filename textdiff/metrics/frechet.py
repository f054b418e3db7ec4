"""Frechet distance of two sets of features (Heusel et al., arXiv 1706.08500, eq. 6):

    FD = |mu_x - mu_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2))              S with divisor n - 1
    tr (S_x S_y)^(1/2) = tr M^(1/2),   M = R S_y R,   R = S_x^(1/2)

With Inception features of one layer this is the FID. It is biased upwards, the more the fewer rows
there are for D, and so is each resample of it: an interval shows spread only. Resamples are taken
to first order (the infinitesimal jackknife, Efron and Tibshirani 1993, section 20.3), which costs
no more decompositions and keeps their mean where the estimate is:

    FD_b = FD + mean of f over the drawn pictures + mean of g over the real ones, as resampled
    f(x) = 2 (mu_x - mu_y).u + u^T (I - R^+ M^(1/2) R^+) u - its mean,         u = x - mu_x
    g(y) = 2 (mu_y - mu_x).v + v^T (I - R (M^(1/2))^+ R) v - its mean,         v = y - mu_y

Everything is computed in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.metrics.bootstrap import RESAMPLES, Estimate, estimate, means_of_resamples
from textdiff.metrics.feature_sets import DrawnFeatures, RealFeatures, check_groups, check_sets
from textdiff.metrics.tiles import Rows, prepared, spans

Matrix = Float[Tensor, "dim dim"]


def frechet_distance(x: DrawnFeatures, y: RealFeatures) -> float:
    """Between the Gaussians with the sets' means and covariances.

    Raises:
        DataError: fewer than two rows, numbers that are not finite.
        ValueError: widths that differ.
    """
    check_sets(x, y, rows=2)
    return _between(_moments(x), _moments(y)).distance


def frechet_estimate(
    x: DrawnFeatures, y: RealFeatures, group: int = 1, resamples: int = RESAMPLES
) -> Estimate:
    """The distance with the spread of both sets. It does not hold the bias.

    Args:
        x: rows of one group stand together, such as the pictures of a prompt; groups of drawn
            pictures are resampled, and single real ones.
        group: how many rows of x in a row make one.

    Raises:
        DataError, ValueError: as `frechet_distance`; ValueError: rows that are not two groups or
            more of this size.
    """
    check_sets(x, y, rows=2)
    check_groups(len(x), len(x) // group, group)
    of_x, of_y = _moments(x), _moments(y)
    pair = _between(of_x, of_y)
    shift = of_x.mean - of_y.mean
    by_x = _influence(x, of_x, shift, pair.drawn).unflatten(0, (-1, group)).mean(dim=1)
    by_y = _influence(y, of_y, -shift, pair.real)
    spread = means_of_resamples(by_x, resamples, ("distance", "drawn"))
    spread += means_of_resamples(by_y, resamples, ("distance", "real"))
    return estimate(pair.distance, pair.distance + spread)


@dataclass(frozen=True)
class _Moments:
    """mean (D,) and covariance (D, D), float64."""

    mean: Float[Tensor, " dim"]
    covariance: Matrix


@dataclass(frozen=True)
class _Pair:
    """The distance, and what it changes by with either covariance (D, D)."""

    distance: float
    drawn: Matrix
    real: Matrix


def _moments(x: Rows) -> _Moments:
    total = torch.zeros(x.shape[1], dtype=torch.float64)
    for rows in spans(len(x)):
        total += prepared(x[rows], torch.float64).sum(dim=0)
    mean = total / len(x)
    scatter = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for rows in spans(len(x)):
        centred = prepared(x[rows], torch.float64) - mean
        scatter += centred.T @ centred
    return _Moments(mean, scatter / (len(x) - 1))


def _between(x: _Moments, y: _Moments) -> _Pair:
    root, inverse_root = _roots(x.covariance)
    middle, inverse_middle = _roots(root @ y.covariance @ root)
    identity = torch.eye(len(root), dtype=torch.float64)
    distance = (x.mean - y.mean).square().sum() + x.covariance.trace() + y.covariance.trace()
    return _Pair(
        distance=(distance - 2 * middle.trace()).item(),
        drawn=identity - inverse_root @ middle @ inverse_root,
        real=identity - root @ inverse_middle @ root,
    )


def _roots(symmetric: Matrix) -> tuple[Matrix, Matrix]:
    """The square root of a positive semi-definite matrix, and that one's pseudo-inverse."""
    values, vectors = torch.linalg.eigh(symmetric)
    roots = values.clamp(min=0).sqrt()
    negligible = values <= values[-1].clamp(min=0) * len(values) * torch.finfo(values.dtype).eps
    inverse = torch.where(negligible, 0.0, 1 / roots.masked_fill(negligible, 1))
    return vectors * roots @ vectors.T, vectors * inverse @ vectors.T


def _influence(
    x: Rows, moments: _Moments, shift: Float[Tensor, " dim"], by_covariance: Matrix
) -> Float[Tensor, " n"]:
    """What each row adds to the distance to first order, (n,), their mean 0."""
    found = []
    for rows in spans(len(x)):
        centred = prepared(x[rows], torch.float64) - moments.mean
        found.append(2 * centred @ shift + (centred @ by_covariance * centred).sum(dim=1))
    influence = torch.cat(found)
    return influence - influence.mean()
