"""Means of a kernel over pairs of rows, of all rows and of resamples, in tiles:

    all    mean of k(x_i, x_j)                                    over all i, j
    apart  the same over pairs of different groups, such as pictures of different prompts
    b-th   sum of c_bi c_bj k(x_i, x_j) / sum of c_bi c_bj        c_bi: how often row i was drawn

Resamples draw whole units: groups, or, where they are more than `UNITS`, random bundles of them, so
that a resample costs `UNITS`^2 sums and not n^2. Pairs of a unit with its own repeat are no pairs
of two pictures, would move resamples up, and are left out.

Kernels are taken less a constant, which cancels in MMD^2: what is small is not lost beside it. Sums
are float64, but over the rows of a unit, which are summed as the products are. Products of at most
`EXACT_PAIRS` pairs, and of float64 features, are float64. Those of more are float32, in half the
time, as rounding errors are as often up as down: KID and CMMD of 4,096 x 512 came out within 5e-8
of float64's, relative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from textdiff.metrics.bootstrap import count_draws, resample
from textdiff.metrics.tiles import TILE, Rows, tiles_between, tiles_within
from textdiff.randomness import Stream

EXACT_PAIRS = 2**22
UNITS = 1000

Counts = Float[Tensor, "b units"]


@dataclass(frozen=True)
class Kernel:
    """of_products: from a tile of x.y, which it may overwrite. unit: of rows made unit."""

    of_products: Callable[[Tensor], Tensor]
    unit: bool


@dataclass(frozen=True)
class Counted:
    """A set of features, and its resamples.

    rows: (n, D), those of a group and of a unit in a row.
    counts: (b, units) float64, how often each unit is in each resample.
    unit: how many rows are resampled together, a multiple of `group`; the last may have fewer.
    group: how many rows are more alike than others.
    """

    rows: Rows
    counts: Counts
    unit: int = 1
    group: int = 1

    @classmethod
    def bundled(cls, rows: Rows, group: int, resamples: int, stream: tuple[str, ...]) -> Counted:
        """Resampled by groups, or by at most `UNITS` bundles of them; where nothing is, each tile
        is one."""
        groups = len(rows) // group
        bundle = -(-groups // UNITS) if resamples else min(groups, max(1, TILE // group))
        if resamples and bundle > 1:  # neighbours may be alike
            order = Stream("bundles", groups).permutation(groups).to(rows.device)
            rows = rows.unflatten(0, (-1, group))[order].flatten(0, 1)
        units = -(-groups // bundle)
        counts = torch.zeros(0, units, dtype=torch.float64)
        if resamples:
            counts = count_draws(resample(units, resamples, stream))
        return cls(rows, counts, bundle * group, group)

    @property
    def sizes(self) -> Float[Tensor, " units"]:
        """Rows of each unit."""
        sizes = torch.full((self.counts.shape[1],), float(self.unit), dtype=torch.float64)
        sizes[-1] = len(self.rows) - (len(sizes) - 1) * self.unit
        return sizes

    @property
    def tile(self) -> int:
        """About `TILE` rows, of whole units."""
        return max(1, TILE // self.unit) * self.unit

    def counts_of(self, rows: slice) -> Counts:
        return self.counts[:, rows.start // self.unit : -(-rows.stop // self.unit)]


@dataclass(frozen=True)
class MeansWithin:
    """Over pairs of rows of one set: all of them, and those of different groups; the same of
    resamples (b,)."""

    all_pairs: float
    apart: float
    all_resampled: Float[Tensor, " b"]
    apart_resampled: Float[Tensor, " b"]


@dataclass(frozen=True)
class PairMeans:
    drawn: MeansWithin
    real: MeansWithin
    between: float
    between_resampled: Float[Tensor, " b"]


def pair_means(kernel: Kernel, x: Counted, y: Counted) -> PairMeans:
    """All means that a distance is made of; x of drawn pictures, y of real ones."""
    many = max(len(x.rows), len(y.rows)) ** 2 > EXACT_PAIRS
    exact = torch.float64 in (x.rows.dtype, y.rows.dtype)
    dtype = torch.float32 if many and not exact else torch.float64
    between = _between(kernel, x, y, dtype)
    return PairMeans(_within(kernel, x, dtype), _within(kernel, y, dtype), *between)


def _within(kernel: Kernel, of: Counted, dtype: torch.dtype) -> MeansWithin:
    every = in_group = in_unit = 0.0
    resampled = torch.zeros(len(of.counts), dtype=torch.float64)
    for tile in tiles_within(of.rows, dtype, kernel.unit, of.tile):
        values = kernel.of_products(tile.products)
        blocks = _block_sums(values, of.unit, of.unit)
        left, right = of.counts_of(tile.rows), of.counts_of(tile.columns)
        times = 1 if tile.on_diagonal else 2
        every += times * blocks.sum().item()
        resampled += times * ((left @ blocks) * right).sum(dim=1)
        if tile.on_diagonal:
            own = blocks.diagonal()
            resampled -= left.square() @ own
            in_unit += own.sum().item()
            in_group += _sum_in_groups(values, of.group)
    rows, sizes = len(of.rows), of.sizes
    repeats = of.counts.square() @ sizes.square()
    apart = resampled / ((of.counts @ sizes).square() - repeats)
    inside = sizes.square().sum().item()
    return MeansWithin(
        all_pairs=every / rows**2,
        apart=(every - in_group) / (rows**2 - rows * of.group),
        # as many pairs inside of units as there are, with the mean that they have
        all_resampled=(in_unit + (rows**2 - inside) * apart) / rows**2,
        apart_resampled=apart,
    )


def _between(
    kernel: Kernel, x: Counted, y: Counted, dtype: torch.dtype
) -> tuple[float, Float[Tensor, " b"]]:
    every = 0.0
    resampled = torch.zeros(len(x.counts), dtype=torch.float64)
    for tile in tiles_between(x.rows, y.rows, dtype, kernel.unit, (x.tile, y.tile)):
        blocks = _block_sums(kernel.of_products(tile.products), x.unit, y.unit)
        every += blocks.sum().item()
        resampled += ((x.counts_of(tile.rows) @ blocks) * y.counts_of(tile.columns)).sum(dim=1)
    pairs = (x.counts @ x.sizes) * (y.counts @ y.sizes)
    return every / (len(x.rows) * len(y.rows)), resampled / pairs


def _sum_in_groups(values: Tensor, group: int) -> float:
    """Over pairs of one group, of a tile on the diagonal."""
    if group == 1:
        return values.diagonal().sum(dtype=torch.float64).item()
    return _block_sums(values, group, group).diagonal().sum().item()


def _block_sums(values: Tensor, height: int, width: int) -> Float[Tensor, "rows columns"]:
    """Sums over blocks of a tile, float64; the last of each side may be smaller."""
    rows, columns = values.shape
    if rows % height or columns % width:
        values = F.pad(values, (0, -columns % width, 0, -rows % height))
    if height > 1:  # in the precision of the products: to convert a whole tile takes as long as it
        values = values.unflatten(0, (-1, height)).sum(dim=1)
    values = values.double()
    return values.unflatten(1, (-1, width)).sum(dim=2) if width > 1 else values
