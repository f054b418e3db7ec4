"""What one batch spread over processes shares: rows in rank order, sums, sums of exponentials.

Rank r of W holds sizes[r] of the N rows; sizes may differ. Every backward pass here is the exact
transpose of its forward pass, so that backward on all ranks is that of  sum_r output_r.  A loss
that ends in `sum` is the same number L on every rank; backward then gives each rank W times its
share of dL, and the mean over ranks that DDP takes is dL itself, with no factor to set right.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from textdiff.types import Features, PerSample


@dataclass(frozen=True)
class Ranks:
    """How the rows of a batch lie on processes; all of them call each method together."""

    sizes: tuple[int, ...]
    rank: int = 0

    @classmethod
    def of(cls, rows: Tensor, gather: bool | None) -> Ranks:
        """Of a batch of which this process holds `rows`.

        Args:
            gather: False: nothing is shared. None: all is if torch.distributed is initialised.
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
        """Where this rank's rows lie among all."""
        first = sum(self.sizes[: self.rank])
        return slice(first, first + self.sizes[self.rank])

    def gather(self, rows: Features) -> Features:
        """This rank's (n, D) to all ranks' (N, D)."""
        return rows if len(self.sizes) == 1 else _Gather.apply(rows, self)

    def sum(self, value: Tensor) -> Tensor:
        """Elementwise over ranks."""
        return value if len(self.sizes) == 1 else _Sum.apply(value)

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
    def forward(ctx, rows: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        gathered = rows.new_empty(ranks.total, *rows.shape[1:])
        gathered[ranks.own] = rows
        for rank, part in enumerate(gathered.split(ranks.sizes)):
            if len(part):
                dist.broadcast(part, src=rank)
        return gathered

    @staticmethod
    def backward(ctx, grad: Tensor):
        grad = grad.clone(memory_format=torch.contiguous_format)  # the incoming one is not ours
        for rank, part in enumerate(grad.split(ctx.ranks.sizes)):
            if len(part):
                dist.reduce(part, dst=rank)
        return grad[ctx.ranks.own], None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
