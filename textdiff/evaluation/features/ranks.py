"""Processes that share the work of an evaluation, as accelerate or torchrun started them.

    chunk c of the pictures ── rank c mod count ──► features in their rows ── sum ──► every rank

The chunks are those of one process, whatever the number of ranks, so that the bits are the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # others wait while the first draws or writes


@dataclass(frozen=True)
class Ranks:
    """This process among `count`; local: among those of its machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def owns(self, chunk: int) -> bool:
        """Whether this process does the work of that chunk."""
        return chunk % self.count == self.rank

    def device(self, kind: str) -> str:
        """Its own GPU, where `kind` is "cuda"."""
        return f"cuda:{self.local}" if kind == "cuda" and self.count > 1 else kind

    def sum(self, tensor: Tensor) -> Tensor:
        """Of all ranks, on the CPU; exact where only one rank's is not 0."""
        if self.count == 1:
            return tensor
        from accelerate.state import PartialState
        from accelerate.utils import reduce

        return reduce(tensor.to(PartialState().device), "sum").cpu()

    def merged(self, part: dict[int, str]) -> dict[int, str]:
        """The entries of all ranks."""
        if self.count == 1:
            return part
        from accelerate.utils import gather_object

        return dict(gather_object(list(part.items())))

    def main_value(self, value: T) -> T:
        """What the main process has."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]


ALONE = Ranks()


def join_ranks() -> Ranks:
    """Meets the other processes that were started with this one; alone, it does nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    from accelerate.state import PartialState

    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    state = PartialState(cpu=asked or not torch.cuda.is_available(), timeout=PATIENCE)
    return Ranks(state.process_index, state.num_processes, state.local_process_index)
