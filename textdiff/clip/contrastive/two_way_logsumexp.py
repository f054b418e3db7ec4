"""Log sum exp of the rows and of the columns of L = scale * I X^T without holding L.

    r_i = log sum_j exp L_ij        c_j = log sum_i exp L_ij        m_i = L_i,first+i
    d r_i / d L_ij = exp(L_ij - r_i)          d c_j / d L_ij = exp(L_ij - c_j)

Forward computes each tile of L once. For each row and each column it keeps the largest logit so far
and the sum of exponentials relative to it (Milakov & Gimelshein, arXiv 1805.02867). One maximum for
all of L would underflow where logits differ by more than 87, as they may from a scale of 44 on.
Backward computes each tile once more.

    |L_ij| <= scale max_i |I_i| max_j |X_j| <= 60

Up to that bound, a scale of 60 for unit rows, exp(L_ij) is summed as it is, without a maximum. Then
one exponential serves rows and columns, and both passes where L is kept. The bound is tested on a
CPU alone.

Multiply-adds: n N D for L in each pass and 2 n N D for the gradients, together 4 n N D; 3 n N D
where L is kept. A loss that multiplies out both L and L^T takes 6 n N D.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from textdiff.clip.contrastive.logit_tiles import Tile, diagonal, logit_tiles, pull_back, rows_kept
from textdiff.types import Features, PerSample

BOUND = 60.0  # exp(60) = 1e26, exp(-60) = 1e-26: far from where float32 ends, 3e38 and 1e-38


def two_way_logsumexp(
    images: Features,
    texts: Features,
    scale: Tensor,
    first: int,
    tile_size: int,
    dense_logits: int,
) -> tuple[PerSample, PerSample, PerSample]:
    """(r, c, m) of shapes (n,), (N,), (n,), differentiable once in images, texts and scale.

    Args:
        images: (n, D); row i matches row `first + i` of texts (N, D).
        tile_size: side of a tile.
        dense_logits: up to this many logits are kept rather than computed again.
    """
    sums: tuple[PerSample, PerSample, PerSample] = _TwoWay.apply(
        images, texts, scale, first, tile_size, dense_logits
    )
    return sums


class _RunningLogSumExp:
    """log sum exp of each row (or column) over the tiles added so far: top + log(total).

    bounded: `top` stays 0, and exponentials are added to `total` as they are.
    """

    def __init__(self, length: int, like: Tensor, bounded: bool) -> None:
        self.top = like.new_full((length,), 0 if bounded else -torch.inf)
        self.total = like.new_zeros(length)

    def add(self, at: slice, logits: Tensor, dim: int) -> None:
        top = torch.maximum(self.top[at], logits.amax(dim))
        below = (logits - top.unsqueeze(dim)).exp_().sum(dim)
        self.total[at] = self.total[at] * (self.top[at] - top).exp() + below
        self.top[at] = top

    def value(self) -> Tensor:
        return self.top + self.total.log()


def _is_bounded(images: Features, texts: Features, scale: Tensor) -> bool:
    if not (len(images) and len(texts)):
        return True
    if images.device.type != "cpu":
        return False  # testing would wait for a GPU, where exponentials cost little
    largest = scale.abs() * images.norm(dim=1).max() * texts.norm(dim=1).max()
    return bool(largest <= BOUND)


class _TwoWay(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        texts: Tensor,
        scale: Tensor,
        first: int,
        tile_size: int,
        dense_logits: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.first, ctx.tile_size = first, tile_size
        ctx.bounded = bounded = _is_bounded(images, texts, scale)
        kept = images.new_empty(rows_kept(images, texts, dense_logits), len(texts))
        rows, columns = (_RunningLogSumExp(len(each), images, bounded) for each in (images, texts))
        matching = images.new_empty(len(images))
        for tile in logit_tiles(images, texts, scale, tile_size, kept):
            where, values = diagonal(tile, first)
            matching[where] = values
            if bounded:
                exps = tile[2].exp_()
                rows.total[tile[0]] += exps.sum(1)
                columns.total[tile[1]] += exps.sum(0)
            else:
                rows.add(tile[0], tile[2], dim=1)
                columns.add(tile[1], tile[2], dim=0)
        sums = rows.top, rows.total, columns.top, columns.total
        ctx.save_for_backward(images, texts, scale, *sums, kept)
        return rows.value(), columns.value(), matching

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_rows: Tensor, grad_columns: Tensor, grad_matching: Tensor
    ) -> tuple[Tensor | None, ...]:
        images, texts, scale, row_top, row_total, column_top, column_total, kept = ctx.saved_tensors
        # exp(L - r) = exp(L - top) / total: near 100, r itself is rounded to 8e-6
        per_row, per_column = grad_rows / row_total, grad_columns / column_total

        def weights(rows: slice, columns: slice, logits: Tensor) -> Tensor:
            if ctx.bounded:
                exps = logits if len(kept) else logits.exp_()
                return (per_row[rows, None] + per_column[columns]).mul_(exps)
            by_row: Tensor = (logits - row_top[rows, None]).exp_().mul_(per_row[rows, None])
            by_column = (logits - column_top[columns]).exp_()
            return by_row.addcmul_(by_column, per_column[columns])

        def weigh(tile: Tile) -> Tile:
            weighed = *tile[:2], weights(*tile)
            where, values = diagonal(weighed, ctx.first)
            values += grad_matching[where]
            return weighed

        with torch.autocast(images.device.type, enabled=False):
            again = logit_tiles(images, texts, scale, ctx.tile_size, kept, again=True)
            needed = ctx.needs_input_grad[:3]
            grads = pull_back(images, texts, scale, map(weigh, again), needed)
        return *grads, None, None, None
