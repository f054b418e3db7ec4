"""What the processes of a run agree on, so that none of them leaves the loop alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator


def on_this_machine(accelerator: Accelerator) -> tuple[int, int]:
    """Rank among the processes on this machine, and how many these are, as launchers tell."""
    count = int(os.environ.get("LOCAL_WORLD_SIZE", accelerator.num_processes))
    return accelerator.local_process_index, count


def main_value(accelerator: Accelerator, value: float) -> float:
    """The `value` of the main process."""
    if accelerator.num_processes == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64, device=accelerator.device)
    torch.distributed.broadcast(tensor, src=0)
    return tensor.item()


def lowest(accelerator: Accelerator, value: int) -> int:
    """The least `value` of all processes."""
    if accelerator.num_processes == 1:
        return value
    tensor = torch.tensor(value, device=accelerator.device)
    torch.distributed.all_reduce(tensor, torch.distributed.ReduceOp.MIN)
    return int(tensor.item())


def on_any(accelerator: Accelerator, flag: bool) -> bool:
    """Whether `flag` is set on any process."""
    if accelerator.num_processes == 1:
        return flag
    tensor = torch.tensor(float(flag), device=accelerator.device)
    return bool(accelerator.reduce(tensor, "sum").item() > 0)
