"""The contrastive loss of the GPU benchmark: forward and backward beside open_clip's ClipLoss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from contrastive_loss import inputs
from gpu_workers import Bench

from textdiff.clip.contrastive.loss import contrastive_loss

SCALE = 14.3


def loss_rows(tiles: Sequence[int]) -> tuple[str, ...]:
    return ("ours", *(f"ours, tiles of {tile}" for tile in tiles), "open_clip")


def losses(rows: int, dim: int, device: str, tiles: Sequence[int]) -> Bench:
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

    ours = [run(contrastive_loss), *(run(contrastive_loss, tile_size=tile) for tile in tiles)]
    return Bench(dict(zip(loss_rows(tiles), [*ours, run(theirs)], strict=True)))
