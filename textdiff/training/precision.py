"""Which arithmetic training uses: what was asked for, or what a probe finds to pay."""

from __future__ import annotations

import os

from textdiff.errors import UsageError
from textdiff.precision import bf16_pays


def choose_precision(setting: str, device_type: str) -> str:
    """One of no, bf16 and fp16, from a setting that may be auto.

    Raises:
        UsageError: fp16 on a CPU.
    """
    launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    chosen = launched if setting == "auto" and launched != "no" else setting
    if chosen == "auto":
        chosen = "bf16" if bf16_pays(device_type) else "no"
    if chosen == "fp16" and device_type == "cpu":
        raise UsageError("precision fp16 needs a GPU; on a CPU use bf16 or no")
    return chosen
