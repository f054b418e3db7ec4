"""Products of all rows of x (n, D) with all of y (m, D), a tile at a time:

    tile[i, j] = x_i . y_j,    n x m numbers are never held, nor copies of x and y

Within one set the tiles on and above the diagonal are enough, as x_i . x_j = x_j . x_i.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

TILE = 512  # rows on each side: 1 MB of float32 products, which stay in a core's cache
SHORTEST = 1e-12  # length that rows are divided by: one of zeros stays zero

Rows = Float[Tensor, "n dim"]
OtherRows = Float[Tensor, "m dim"]


@dataclass(frozen=True)
class Tile:
    """products: (r, c), x.y of `rows` of x and `columns` of y; free to be overwritten."""

    rows: slice
    columns: slice
    products: Tensor

    @property
    def on_diagonal(self) -> bool:
        """Whether it holds the pairs x = x', in tiles of one set."""
        return self.rows == self.columns


def spans(count: int, size: int = TILE) -> Iterator[slice]:
    """Slices of at most `size` that cover 0..count-1."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def prepared(rows: Rows, dtype: torch.dtype, unit: bool = False) -> Rows:
    """A few rows on the CPU, as MPS has no float64, in `dtype`; if `unit`, divided by their
    lengths, which are float64."""
    rows = rows.detach().cpu()
    if not unit:
        return rows.to(dtype)
    lengths = torch.linalg.vector_norm(rows, dim=-1, keepdim=True, dtype=torch.float64)
    return rows.to(dtype) / lengths.clamp(min=SHORTEST).to(dtype)


def tiles_between(
    x: Rows,
    y: OtherRows,
    dtype: torch.dtype,
    unit: bool = False,
    size: tuple[int, int] | None = None,
) -> Iterator[Tile]:
    """All tiles, those of the first rows of x first.

    Args:
        dtype: of the products.
        unit: of rows made unit.
        size: rows of x and of y in a tile; None: `TILE` of each.
    """
    height, width = size or (TILE, TILE)
    for rows in spans(len(x), height):
        left = prepared(x[rows], dtype, unit)
        for columns in spans(len(y), width):
            yield Tile(rows, columns, left @ prepared(y[columns], dtype, unit).T)


def tiles_within(
    x: Rows, dtype: torch.dtype, unit: bool = False, size: int = TILE
) -> Iterator[Tile]:
    """Tiles on and above the diagonal; each above it stands for its mirror image too."""
    for rows in spans(len(x), size):
        left = prepared(x[rows], dtype, unit)
        yield Tile(rows, rows, left @ left.T)
        for start in range(rows.stop, len(x), size):
            columns = slice(start, min(start + size, len(x)))
            yield Tile(rows, columns, left @ prepared(x[columns], dtype, unit).T)
