"""Fidelity and coverage by nearest neighbours: x (n, D) of drawn pictures, y (m, D) of real ones.

The ball of a row reaches to its k-th nearest other row of its own set. Of a drawn picture x_i

    precision  whether it lies in the ball of any real one    (Kynkaanniemi et al. 2019,
                                                              arXiv 1904.06991)
    density    number of real balls that it lies in / k       (Naeem et al. 2020,
                                                              arXiv 2002.09797)

and of a real picture y_j

    recall     whether it lies in the ball of any drawn one   (1904.06991)
    coverage   whether any drawn one lies in its ball         (2002.09797)

The metric is the mean. Precision and density are means over drawn pictures, and are resampled over
these with the real ones as they are; recall and coverage are means over real pictures, and the
other way round. The set that forms the balls is never resampled: repeats would shrink them, and a
resample holds only 63% of its pictures, so that recall and coverage would come out too low.

All four depend on n and m: compare numbers of equal ones. Balls are closed, as in 1904.06991: rows
that are equal lie in each other's. Distances are Euclidean, computed in float64, and 0 where they
are within rounding of it. The papers take k = 3 for precision and recall, 5 for the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from textdiff.errors import DataError
from textdiff.metrics.bootstrap import RESAMPLES, Estimate, estimate_mean
from textdiff.metrics.feature_sets import DrawnFeatures, RealFeatures, check_groups, check_sets
from textdiff.metrics.tiles import OtherRows, Rows, Tile, prepared, spans, tiles_between

NEIGHBOURS = 5
ROUNDING = 1e-13  # of squared distances, relative to the squared lengths


@dataclass(frozen=True)
class Neighbourhood:
    """precise, density: of each drawn picture (n,). recalled, covered: of each real one (m,)."""

    precise: Bool[Tensor, " n"]
    density: Float[Tensor, " n"]
    recalled: Bool[Tensor, " m"]
    covered: Bool[Tensor, " m"]

    def estimates(self, group: int = 1, resamples: int = RESAMPLES) -> dict[str, Estimate]:
        """The four metrics by name, with their intervals.

        Args:
            group: how many drawn pictures in a row are resampled as one, such as those of a prompt.

        Raises:
            ValueError: drawn pictures that are not two groups or more of this size.
        """
        check_groups(len(self.precise), len(self.precise) // group, group)
        owner = torch.arange(len(self.precise)) // group
        return {
            "precision": estimate_mean(self.precise, owner, resamples),
            "recall": estimate_mean(self.recalled, None, resamples),
            "density": estimate_mean(self.density, owner, resamples),
            "coverage": estimate_mean(self.covered, None, resamples),
        }


def neighbourhood(x: DrawnFeatures, y: RealFeatures, k: int = NEIGHBOURS) -> Neighbourhood:
    """Which balls the pictures of either set lie in.

    Raises:
        DataError: k rows or fewer in either set, numbers that are not finite.
        ValueError: widths that differ.
    """
    check_sets(x, y, rows=1)
    for name, count in (("drawn", len(x)), ("real", len(y))):
        if count <= k:
            raise DataError(
                f"{count} {name} pictures, none of which has {k} neighbours; "
                f"give {k + 1} or more, or ask for fewer neighbours"
            )
    of_x, of_y = squared_radii(x, k), squared_radii(y, k)
    balls = torch.zeros(len(x), dtype=torch.int64)
    recalled, covered = (torch.zeros(len(y), dtype=torch.bool) for _ in range(2))
    for tile in _squared_distances(x, y):
        in_real = tile.products <= of_y[tile.columns]
        balls[tile.rows] += in_real.sum(dim=1)
        covered[tile.columns] |= in_real.any(dim=0)
        recalled[tile.columns] |= (tile.products <= of_x[tile.rows, None]).any(dim=0)
    return Neighbourhood(balls > 0, balls.double() / k, recalled, covered)


def squared_radii(x: Rows, k: int) -> Float[Tensor, " n"]:
    """Squared distance of each row to its k-th nearest other one, (n,) float64."""
    nearest = torch.full((len(x), k), torch.inf, dtype=torch.float64)
    for tile in _squared_distances(x, x):
        if tile.on_diagonal:
            tile.products.fill_diagonal_(torch.inf)
        both = torch.cat([nearest[tile.rows], tile.products], dim=1)
        nearest[tile.rows] = both.topk(k, dim=1, largest=False).values
    return nearest.amax(dim=1)


def _squared_distances(x: Rows, y: OtherRows) -> Iterator[Tile]:
    """Tiles of |x - y|^2 in place of the products."""
    of_x, of_y = _squared_lengths(x), _squared_lengths(y)
    for tile in tiles_between(x, y, torch.float64):
        lengths = of_x[tile.rows, None] + of_y[tile.columns]
        distances = lengths - 2 * tile.products
        distances[distances <= ROUNDING * lengths] = 0
        yield Tile(tile.rows, tile.columns, distances)


def _squared_lengths(x: Rows) -> Float[Tensor, " n"]:
    return torch.cat([prepared(x[r], torch.float64).square().sum(dim=1) for r in spans(len(x))])
