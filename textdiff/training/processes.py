"""What the processes of a run agree on, so that none of them leaves the loop alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator


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
