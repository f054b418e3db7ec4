"""What all processes of a run have, brought together in each."""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def gather(tensor: Tensor) -> Tensor:
    """The same tensor of every process, joined along the first axis; equal sizes are assumed."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, tensor)
    return torch.cat(parts)
