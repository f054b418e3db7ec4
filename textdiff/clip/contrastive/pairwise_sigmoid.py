"""Row sums of SigLIP's pairwise loss (Zhai et al., arXiv 2303.15343) without holding the logits.

    L = scale * I X^T + bias,   z = +1 where image and text match, else -1
    l_i = sum_j -log sigmoid(z_ij L_ij) = sum_j softplus(L_ij) - L_i,first+i
    d l_i / d L_ij = sigmoid(L_ij) - [j = first + i]

Pairs do not share a normaliser, so that each tile is computed without the others.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from textdiff.clip.contrastive.logit_tiles import Tile, diagonal, logit_tiles, pull_back
from textdiff.types import Features, PerSample


def pairwise_sigmoid(
    images: Features, texts: Features, scale: Tensor, bias: Tensor, first: int, tile_size: int
) -> PerSample:
    """l (n,), differentiable once in images (n, D), texts (N, D), scale and bias.

    Row i of images matches row `first + i` of texts.
    """
    return _PairwiseSigmoid.apply(images, texts, scale, bias, first, tile_size)


class _PairwiseSigmoid(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        images: Tensor,
        texts: Tensor,
        scale: Tensor,
        bias: Tensor,
        first: int,
        tile_size: int,
    ) -> Tensor:
        ctx.first, ctx.tile_size = first, tile_size
        ctx.save_for_backward(images, texts, scale, bias)
        loss = images.new_zeros(len(images))
        for tile in logit_tiles(images, texts, scale, tile_size):
            rows, _, logits = tile
            logits += bias
            loss[rows] -= F.logsigmoid(-logits).sum(1)
            where, values = diagonal(tile, first)
            loss[where] -= values
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        images, texts, scale, bias = ctx.saved_tensors
        for_bias = torch.zeros_like(bias)

        def weigh(tile: Tile) -> Tile:
            rows, _, logits = tile
            logits.add_(bias).sigmoid_()
            diagonal(tile, ctx.first)[1].sub_(1)
            logits.mul_(grad[rows, None])
            for_bias.add_(logits.sum())
            return tile

        with torch.autocast(images.device.type, enabled=False):
            again = logit_tiles(images, texts, scale, ctx.tile_size)
            needed = ctx.needs_input_grad[:3]
            grads = pull_back(images, texts, scale, map(weigh, again), needed)
        return *grads, for_bias, None, None
