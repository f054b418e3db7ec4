"""What the schedules of both kinds of diffusion do with their tables, which are float64 (T,)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from textdiff.types import Timesteps

Cast = dict[tuple[str, torch.dtype, torch.device], Tensor]  # tables by name, type and device


def lookup(
    cast: Cast, name: str, table: Callable[[], Tensor], timestep: Timesteps, like: Tensor
) -> Tensor:
    """Entries of a table at `timestep` (B,), of the type and device of `like` (B, ...) and shaped
    to broadcast over it. Half precision gets the float64 entry, rounded once.

    cast: tables made before, so that each is made and cast only once.
    """
    key = (name, like.dtype, like.device)
    if key not in cast:
        cast[key] = table().to(like.dtype).to(like.device)
    return cast[key][timestep].view(-1, *[1] * (like.ndim - 1))


def check_ascending(timesteps: Tensor | Sequence[int], num_timesteps: int) -> Tensor:
    """`timesteps` (N,) as int64.

    Raises:
        ValueError: none, or not strictly ascending within 0..T-1.
    """
    timesteps = torch.as_tensor(timesteps, dtype=torch.int64)
    if not len(timesteps) or timesteps[0] < 0 or timesteps[-1] >= num_timesteps:
        raise ValueError(f"timesteps must lie in 0..{num_timesteps - 1}, got {timesteps.tolist()}")
    if not (timesteps.diff() > 0).all():
        raise ValueError(f"timesteps must strictly ascend, got {timesteps.tolist()}")
    return timesteps
