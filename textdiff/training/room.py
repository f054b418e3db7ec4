"""Whether a run's checkpoints will find room on its disk, asked before the first step.

checkpoint  weights, two moments of each that is trained, the average (fp32)
needed      (kept + 1) checkpoints, since the new one is verified before an old one goes
"""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import nn

from textdiff import checkpoint
from textdiff.errors import UsageError

MOMENTS, AVERAGE = 2, 1  # fp32 values for each weight that is trained, or averaged


def checkpoint_bytes(model: nn.Module, averaged: bool, adversary: nn.Module | None = None) -> int:
    """Of a checkpoint's tensors, those of a network that is trained against `model` included."""
    if adversary is not None:
        return checkpoint_bytes(model, averaged) + checkpoint_bytes(adversary, averaged=False)
    weights = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    average = sum(p.numel() for p in model.parameters()) * AVERAGE * averaged
    return weights + 4 * (MOMENTS * trained + average)


def check_room(run: Path, size: int, keep: int) -> None:
    """Raises UsageError if `keep` + 1 checkpoints of `size` bytes do not fit."""
    there = next(place for place in (run, *run.absolute().parents) if place.is_dir())
    held = len(checkpoint.steps_of(run / "checkpoints"))
    needed, free = size * max(1, keep + 1 - held), shutil.disk_usage(there).free
    if needed > free:
        raise UsageError(
            f"--run-dir {run}: its checkpoints need {shown_bytes(needed)} ({keep} kept and the new "
            f"one, {shown_bytes(size)} each), {shown_bytes(free)} are free; make room, name "
            "another place or lower --train.keep-checkpoints"
        )


def shown_bytes(size: float) -> str:
    """Such as 3.4 GB, 12 MB."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
