"""How far apart two sets of features lie: x (n, D) of drawn pictures, y (m, D) of real ones.

    Frechet  |mu_x - mu_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2))      S with divisor n - 1
             tr (S_x S_y)^(1/2) = tr (R S_y R)^(1/2),  R = S_x^(1/2)  (arXiv 1706.08500, eq. 6)
    MMD^2    mean k(x, x') + mean k(y, y') - 2 mean k(x, y)           (Gretton et al. 2012, JMLR 13)
    KID      unbiased, no pair x = x' or of one prompt;  k = (x.y / D + 1)^3   (arXiv 1801.01401)
    CMMD     biased, 1000 times;  k = exp(-|x - y|^2 / 200), unit features   (arXiv 2401.09603)

Everything is computed in float64. The Frechet distance is biased upwards, the more the fewer rows
there are for D; KID is not biased, and so can be negative.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Real
from torch import Tensor

CMMD_BANDWIDTH = 10.0
CMMD_SCALE = 1000.0

DrawnFeatures = Float[Tensor, "n dim"]
RealFeatures = Float[Tensor, "m dim"]


def frechet_distance(x: DrawnFeatures, y: RealFeatures) -> float:
    """Between the Gaussians with the sets' means and covariances.

    Raises:
        ValueError: fewer than two rows, or widths that differ.
    """
    x, y = _checked(x, y, rows=2)
    (mu_x, S_x), (mu_y, S_y) = _moments(x), _moments(y)
    root = _root(S_x)
    cross = torch.linalg.eigvalsh(root @ S_y @ root).clamp(min=0).sqrt().sum()
    return ((mu_x - mu_y).square().sum() + S_x.trace() + S_y.trace() - 2 * cross).item()


def kid(x: DrawnFeatures, y: RealFeatures, group: int = 1) -> float:
    """Unbiased MMD^2 with the cubic kernel, of all rows in one block.

    Rows of one group, such as the pictures of a prompt, are more alike than two pictures of the
    distribution are: pairs of them would move the estimate up, and are left out.

    Args:
        group: how many rows of x in a row make one.

    Raises:
        ValueError: fewer than two rows or groups, or widths that differ.
    """
    ones = torch.ones(1, len(x) // group), torch.ones(1, len(y))
    return kid_of_resamples(x, y, *ones, group).item()


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
        ValueError: as `kid`.
    """
    x, y = _checked(x, y, rows=2)
    if x_counts.shape[1] < 2 or len(x) != x_counts.shape[1] * group:
        raise ValueError(
            f"{len(x)} rows in groups of {group} as against {x_counts.shape[1]} groups counted; "
            "give two groups or more, all of one size"
        )
    a, b = x_counts.to(x), y_counts.to(y)
    of_rows = a.repeat_interleave(group, dim=1)
    between = ((of_rows @ _cubic(x, y)) * b).sum(dim=1) / (of_rows.sum(dim=1) * b.sum(dim=1))
    return _within(_cubic(x, x), a, group) + _within(_cubic(y, y), b, 1) - 2 * between


def cmmd(x: DrawnFeatures, y: RealFeatures) -> float:
    """1000 times the biased MMD^2 of unit features, as in the authors' code.

    Raises:
        ValueError: no rows, or widths that differ.
    """
    x, y = (F.normalize(rows, dim=-1) for rows in _checked(x, y, rows=1))
    within = _gaussian(x, x).mean() + _gaussian(y, y).mean()
    return CMMD_SCALE * (within - 2 * _gaussian(x, y).mean()).item()


def _checked(x: DrawnFeatures, y: RealFeatures, rows: int) -> tuple[Tensor, Tensor]:
    """Both in float64."""
    for name, features in (("first", x), ("second", y)):
        if features.ndim != 2 or len(features) < rows:
            raise ValueError(
                f"the {name} set of features is {tuple(features.shape)}; "
                f"give (n, D) with n of {rows} or more"
            )
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of width {x.shape[1]} and {y.shape[1]}; give one width")
    return x.cpu().double(), y.cpu().double()  # MPS has no float64


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and covariance (D, D)."""
    return x.mean(dim=0), torch.cov(x.T).reshape(x.shape[1], x.shape[1])


def _root(symmetric: Tensor) -> Tensor:
    """The square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(symmetric)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def _within(kernel: Tensor, counts: Tensor, group: int) -> Tensor:
    """(b,) means of k(x, x') over pairs of rows of different groups."""
    blocks = kernel.unflatten(0, (-1, group)).unflatten(2, (-1, group)).sum(dim=(1, 3))
    squares, drawn = counts.square(), counts.sum(dim=1)
    apart = ((counts @ blocks) * counts).sum(dim=1) - squares @ blocks.diagonal()
    return apart / (group**2 * (drawn.square() - squares.sum(dim=1)))


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _gaussian(x: Tensor, y: Tensor) -> Tensor:
    """Of unit rows: |x - y|^2 = 2 - 2 x.y."""
    return torch.exp((x @ y.T - 1) / CMMD_BANDWIDTH**2)
