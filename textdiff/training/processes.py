"""What the processes of a run agree on, so that none of them leaves the loop alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from textdiff.errors import TextdiffError

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")


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


def on_main(accelerator: Accelerator, work: Callable[[], T]) -> T:
    """What `work` returns on the main process, which alone does it; the others wait for it.

    Raises:
        TextdiffError, OSError: of `work`, on all processes. What else it raises is left to the
            watch over processes, see `rank_watch`.
    """
    if accelerator.num_processes == 1:
        return work()
    from accelerate.utils import broadcast_object_list

    outcome: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            outcome = [work(), None]
        except (TextdiffError, OSError) as error:
            outcome = [None, error]
    result, failure = broadcast_object_list(outcome)
    if failure is not None:
        raise failure
    return result


def of_all(accelerator: Accelerator, value: T) -> list[T]:
    """The `value` of each process, in their order."""
    if accelerator.num_processes == 1:
        return [value]
    from accelerate.utils import gather_object

    return gather_object([value])
