"""Exchange between the processes that share one batch: rows in rank order, sums, log sum exp.

Rank r of W holds sizes[r] of the N rows; sizes may differ. Every backward pass here is the exact
transpose of its forward pass: backward on all ranks gives the gradient of  sum_r output_r.  A loss
that ends in `sum` is the same number L on every rank, so that each rank gets W times its share of
dL. DDP averages over ranks, and the result is dL itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from textdiff.types import Features, PerSample


@dataclass(frozen=True)
class Ranks:
    """Which rows of a batch each process holds. All processes must call each method together."""

    sizes: tuple[int, ...]
    rank: int = 0

    @classmethod
    def sharing(cls, rows: Tensor, gather: bool | None) -> Ranks:
        """The ranks of a batch of which this process holds `rows`.

        Args:
            gather: False: this process alone. None: all processes of torch.distributed, if it is
                initialised.
        """
        if gather is None:
            gather = dist.is_available() and dist.is_initialized()
        if not gather:
            return cls((len(rows),))
        own = torch.tensor([len(rows)], device=rows.device)
        sizes = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(sizes, own)
        return cls(tuple(int(size) for size in sizes), dist.get_rank())

    @property
    def total(self) -> int:
        """N, the rows of all ranks."""
        return sum(self.sizes)

    @property
    def own(self) -> slice:
        """This rank's rows among all N."""
        first = sum(self.sizes[: self.rank])
        return slice(first, first + self.sizes[self.rank])

    def gather(self, rows: Features) -> Features:
        """All ranks' rows (N, D) from this rank's (n, D)."""
        if len(self.sizes) == 1:
            return rows
        return _Gather.apply(rows, self)

    def sum(self, value: Tensor) -> Tensor:
        """Elementwise sum over ranks."""
        if len(self.sizes) == 1:
            return value
        return _Sum.apply(value)

    def logsumexp(self, value: PerSample) -> PerSample:
        """Elementwise log sum exp over ranks."""
        if len(self.sizes) == 1:
            return value
        top = value.detach().clone()
        dist.all_reduce(top, dist.ReduceOp.MAX)
        return top + self.sum((value - top).exp()).log()


class _Gather(torch.autograd.Function):
    """Each rank's rows broadcast into place. Backward: each rank's gradient reduced to its rank."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        gathered = rows.new_empty(ranks.total, *rows.shape[1:])
        gathered[ranks.own] = rows
        for rank, part in enumerate(torch.split(gathered, list(ranks.sizes))):
            if len(part):
                dist.broadcast(part, src=rank)
        return gathered

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.clone(memory_format=torch.contiguous_format)  # autograd owns the incoming one
        for rank, part in enumerate(torch.split(grad, list(ctx.ranks.sizes))):
            if len(part):
                dist.reduce(part, dst=rank)
        return grad[ctx.ranks.own], None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
