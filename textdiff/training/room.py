"""Whether a run's checkpoints will find room on its disk, asked before the first step.

checkpoint  weights, two moments of each that is trained, the average (fp32); the adversary's
export      the weights, of a task that exports them
needed      (kept + 1) checkpoints, since the new one is verified before an old one goes; likewise
            two exports
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from textdiff import checkpoint
from textdiff.errors import UsageError
from textdiff.training.exports import EXPORT
from textdiff.training.saved_state import TrainingState
from textdiff.training.task import Exporting, Task

MOMENTS, AVERAGE = 2, 1  # fp32 values for each weight that is trained, or averaged


def checkpoint_bytes(model: nn.Module, averaged: bool, adversary: nn.Module | None = None) -> int:
    """Of a checkpoint's tensors, those of a network that is trained against `model` included."""
    if adversary is not None:
        return checkpoint_bytes(model, averaged) + checkpoint_bytes(adversary, averaged=False)
    weights = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    average = sum(p.numel() for p in model.parameters()) * AVERAGE * averaged
    return weights + 4 * (MOMENTS * trained + average)


@dataclass(frozen=True)
class Room:
    """Bytes of one checkpoint, how many are kept, and bytes of an export."""

    checkpoint: int
    keep: int
    export: int = 0


def room_for(state: TrainingState, keep: int, task: Task) -> Room:
    """What the run of `task` takes on its disk."""
    adversary = state.adversary.network if state.adversary else None
    size = checkpoint_bytes(state.model, state.ema is not None, adversary)
    weights = sum(t.numel() * t.element_size() for t in state.model.state_dict().values())
    return Room(size, keep, weights if isinstance(task, Exporting) else 0)


def check_room(run: Path, room: Room) -> None:
    """Raises UsageError if what `room` says does not fit besides what is there already."""
    there = next(place for place in (run, *run.absolute().parents) if place.is_dir())
    held = len(checkpoint.steps_of(run / "checkpoints"))
    needed = room.checkpoint * max(1, room.keep + 1 - held)
    needed += room.export * (1 if (run / EXPORT).exists() else 2)
    free = shutil.disk_usage(there).free
    if needed > free:
        export = f", and an export of {shown_bytes(room.export)}" if room.export else ""
        raise UsageError(
            f"--run-dir {run}: its checkpoints need {shown_bytes(needed)} ({room.keep} kept and "
            f"the new one, {shown_bytes(room.checkpoint)} each{export}), {shown_bytes(free)} are "
            "free; make room, name another place or lower --train.keep-checkpoints"
        )


def shown_bytes(size: float) -> str:
    """Such as 3.4 GB, 12 MB."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
