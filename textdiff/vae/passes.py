"""How much a VAE reads or writes in one pass: so many pixels, however large the batch.

The layers at full size take most of the memory, in proportion to the pixels; a few gigabytes in a
network as wide as that of Stable Diffusion.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

PIXELS = 2**19  # 128 pictures of 64 pixels a side, 8 of 256, 2 of 512


def at_once(pixels: int) -> int:
    """Pictures of so many pixels in one pass: one at least."""
    return max(1, PIXELS // pixels)


def in_passes(network: Callable[[Tensor], Tensor], batch: Tensor, pixels: int) -> Tensor:
    """`network(batch)`, in parts where it is too large for one pass.

    Where gradients are wanted, a part keeps nothing for them and is computed again in the backward
    pass (Chen et al., arXiv 1604.06174), so that these take no more at once either.

    Args:
        batch: (B, ...). pixels: of one of its pictures.
    """
    parts = batch.split(at_once(pixels))
    if len(parts) == 1:
        return network(batch)
    if not (torch.is_grad_enabled() and batch.requires_grad):
        return torch.cat([network(part) for part in parts])
    again = [
        checkpoint(network, part, use_reentrant=False, preserve_rng_state=False) for part in parts
    ]
    return torch.cat(again)
