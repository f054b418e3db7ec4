"""Kernel distances of two sets of features (Gretton et al. 2012, JMLR 13):

    MMD^2 = mean k(x, x') + mean k(y, y') - 2 mean k(x, y)
    KID     unbiased: pairs x = x' are left out   k = (x.y / D + 1)^3   (arXiv 1801.01401)
    CMMD    biased, 1000 times, unit features     k = exp(-|x - y|^2 / 200)   (arXiv 2401.09603)

KID is not biased, and so can be negative; it is of all rows in one block, and so has none of the
noise that means over random subsets have. Both are computed by `kernel_sums`.

    kid(x, y), cmmd(x, y)                      # the number
    kid_estimate(x, y), cmmd_estimate(x, y)    # with its interval
    kid_of_resamples(x, y, counts, counts)     # of resamples that several sets share
"""

from __future__ import annotations

import math

from jaxtyping import Float, Real
from torch import Tensor

from textdiff.metrics.bootstrap import (
    RESAMPLES,
    Estimate,
    estimate_of_finite,
)
from textdiff.metrics.feature_sets import DrawnFeatures, RealFeatures, check_groups, check_sets
from textdiff.metrics.kernel_sums import Counted, Kernel, PairMeans, pair_means

CMMD_BANDWIDTH = 10.0
CMMD_SCALE = 1000.0


def kid(x: DrawnFeatures, y: RealFeatures, group: int = 1) -> float:
    """Unbiased MMD^2 with the cubic kernel, of all rows in one block.

    Rows of one group, such as the pictures of a prompt, are more alike than two pictures of the
    distribution are: pairs of them would move the estimate up, and are left out.

    Args:
        group: how many rows of x in a row make one.

    Raises:
        DataError: fewer than two rows, numbers that are not finite.
        ValueError: rows that are not two groups or more, widths that differ.
    """
    return _kid(x, y, group, resamples=0)[0]


def kid_estimate(
    x: DrawnFeatures, y: RealFeatures, group: int = 1, resamples: int = RESAMPLES
) -> Estimate:
    """KID with its interval over groups of drawn pictures and single real ones.

    Args:
        group: as `kid`.

    Raises:
        DataError, ValueError: as `kid`.
    """
    return estimate_of_finite(*_kid(x, y, group, resamples))


def kid_of_resamples(
    x: DrawnFeatures,
    y: RealFeatures,
    x_counts: Real[Tensor, "b groups"],
    y_counts: Real[Tensor, "b m"],
    group: int = 1,
) -> Float[Tensor, " b"]:
    """KID of b resamples, (b,). Pairs are those of different groups, as in `kid`: a group that was
    drawn twice makes none with its repeat either.

    Args:
        x: rows of one group stand together, such as the pictures of a prompt.
        x_counts: (b, n / group), how often each group of x is in each resample.
        y_counts: (b, m), the same of rows of y.

    Raises:
        DataError, ValueError: as `kid`.
    """
    check_sets(x, y, rows=2)
    check_groups(len(x), x_counts.shape[1], group)
    sets = Counted(x, x_counts.double().cpu(), group), Counted(y, y_counts.double().cpu())
    dim = x.shape[1]
    return _unbiased(pair_means(_cubic(dim), *sets), dim)[1]


def cmmd(x: DrawnFeatures, y: RealFeatures) -> float:
    """1000 times the biased MMD^2 of unit features, as in the authors' code.

    Raises:
        DataError: no rows, numbers that are not finite.
        ValueError: widths that differ.
    """
    check_sets(x, y, rows=1)
    return _cmmd(x, y, group=1, resamples=0)[0]


def cmmd_estimate(
    x: DrawnFeatures, y: RealFeatures, group: int = 1, resamples: int = RESAMPLES
) -> Estimate:
    """CMMD with its interval over groups of drawn pictures and single real ones.

    Its bias, 1000 (1 - mean k) / n of each set, stays in the interval as it is in the number.

    Args:
        group: how many rows of x in a row are resampled as one, such as the pictures of a prompt.

    Raises:
        DataError: fewer than two rows, numbers that are not finite.
        ValueError: rows that are not two groups or more, widths that differ.
    """
    check_sets(x, y, rows=2)
    check_groups(len(x), len(x) // group, group)
    return estimate_of_finite(*_cmmd(x, y, group, resamples))


def _kid(
    x: DrawnFeatures, y: RealFeatures, group: int, resamples: int
) -> tuple[float, Float[Tensor, " b"]]:
    """(KID, of resamples)."""
    check_sets(x, y, rows=2)
    check_groups(len(x), len(x) // group, group)
    dim = x.shape[1]
    return _unbiased(pair_means(_cubic(dim), *_sets(x, y, group, resamples)), dim)


def _cmmd(
    x: DrawnFeatures, y: RealFeatures, group: int, resamples: int
) -> tuple[float, Float[Tensor, " b"]]:
    """(CMMD, of resamples)."""
    means = pair_means(GAUSSIAN, *_sets(x, y, group, resamples))
    value = means.drawn.all_pairs + means.real.all_pairs - 2 * means.between
    resampled = means.drawn.all_resampled + means.real.all_resampled - 2 * means.between_resampled
    return CMMD_SCALE * value, CMMD_SCALE * resampled


def _unbiased(means: PairMeans, dim: int) -> tuple[float, Float[Tensor, " b"]]:
    """Of means of `_cubic(dim)`."""
    value = means.drawn.apart + means.real.apart - 2 * means.between
    resampled = means.drawn.apart_resampled + means.real.apart_resampled
    return value / dim**3, (resampled - 2 * means.between_resampled) / dim**3


def _sets(x: DrawnFeatures, y: RealFeatures, group: int, resamples: int) -> tuple[Counted, Counted]:
    drawn, real = ("distance", "drawn"), ("distance", "real")
    return Counted.bundled(x, group, resamples, drawn), Counted.bundled(y, 1, resamples, real)


def _cubic(dim: int) -> Kernel:
    """D^3 ((x.y / D + 1)^3 - 1), in as few passes over a tile as it takes."""

    def of_products(products: Tensor) -> Tensor:
        return (products + 3 * dim).mul_(products).add_(3 * dim**2).mul_(products)

    return Kernel(of_products, unit=False)


def _gaussian(products: Tensor) -> Tensor:
    """exp(-|x - y|^2 / 200) less a constant, of unit rows: |x - y|^2 = 2 - 2 x.y."""
    width = CMMD_BANDWIDTH**2
    return products.div_(width).expm1_().mul_(math.exp(-1 / width))


GAUSSIAN = Kernel(_gaussian, unit=True)
