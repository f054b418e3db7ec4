"""Timesteps that all rows of a batch share, as they do in sampling: known without asking a GPU.

Which text embedding, which guide and which tower belong to a timestep is chosen by Python. Reading
its number back from a GPU would wait for all work given to it before, at each step.
"""

from __future__ import annotations

import torch

from textdiff.types import Timesteps

SHARED = "_shared_timestep"  # an attribute of the tensor; results of operations on it have none


def shared_timestep(value: int, count: int, device: torch.device | str) -> Timesteps:
    """(count,) int64, all of them `value`. `known_timestep` then tells it; do not write to it."""
    return mark_shared(torch.full((count,), value, device=device), value)


def mark_shared(timestep: Timesteps, value: int) -> Timesteps:
    """`timestep` itself, whose caller knows that all its rows are `value`."""
    setattr(timestep, SHARED, value)
    return timestep


def known_timestep(timestep: Timesteps) -> int | None:
    """The one that all rows share, if `shared_timestep` made them."""
    return getattr(timestep, SHARED, None)


def single_timestep(timestep: Timesteps) -> int:
    """The first row's, where the caller knows that all share it. Waits as `distinct_timesteps`."""
    known = known_timestep(timestep)
    return int(timestep[0]) if known is None else known


def distinct_timesteps(timestep: Timesteps) -> set[int]:
    """Those of the rows (B,). Where it is not known that they share one, a GPU is waited for."""
    known = known_timestep(timestep)
    return set(timestep.tolist()) if known is None else {known}
