"""Which arithmetic training uses: what was asked for, what the run had before it was resumed, or
what a probe finds to pay."""

from __future__ import annotations

import os
from pathlib import Path

from textdiff import checkpoint
from textdiff.errors import CheckpointError, UsageError
from textdiff.precision import bf16_pays

PRECISIONS = ("no", "bf16", "fp16")


def choose_precision(setting: str, device_type: str, recorded: str | None = None) -> str:
    """One of no, bf16 and fp16, from a setting that may be auto.

    Args:
        recorded: of the run that goes on; it may have no other. A probe would say another one at
            another time, where both are about as fast.

    Raises:
        UsageError: fp16 on a CPU.
    """
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    chosen = launched if setting == "auto" and launched != "no" else setting
    if chosen == "auto" and recorded is not None:
        chosen = recorded
    if chosen == "auto":
        chosen = "bf16" if bf16_pays(device_type) else "no"
    if chosen == "fp16" and device_type == "cpu":
        raise UsageError("precision fp16 needs a GPU; on a CPU use bf16 or no")
    return chosen


def recorded_precision(checkpoints: Path) -> str | None:
    """Of the newest checkpoint whose state can be read; None: not told."""
    for folder in checkpoint.checkpoints(checkpoints):
        try:
            precision = checkpoint.load_state(folder)["fixed"]["precision"]
        except (OSError, CheckpointError, LookupError):  # damaged: `resume` will say so
            continue
        return precision if precision in PRECISIONS else None
    return None
