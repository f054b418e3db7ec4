"""The contrastive loss of the GPU benchmark: forward and backward beside open_clip's ClipLoss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from contrastive_loss import inputs
from gpu_workers import Bench

from textdiff.clip.contrastive.loss import contrastive_loss

SCALE = 14.3


def losses(rows: int, dim: int, device: str, tiles: list[int]) -> Bench:
    """Ours as it is by default, and with other sides of a tile."""
    from open_clip.loss import ClipLoss

    leaves = [leaf.detach().to(device).requires_grad_() for leaf in inputs(rows, dim, SCALE)]
    theirs = ClipLoss()

    def run(loss: Callable[..., torch.Tensor], **settings: int) -> Callable[[], object]:
        def both_ways() -> float:
            for leaf in leaves:
                leaf.grad = None
            value = loss(*leaves, **settings)
            value.backward()
            return value.item()

        return both_ways

    runs = {"ours": run(contrastive_loss)}
    runs |= {f"ours, tiles of {tile}": run(contrastive_loss, tile_size=tile) for tile in tiles}
    return Bench({**runs, "open_clip": run(theirs)})
