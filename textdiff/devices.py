"""Which device a command computes on."""

from __future__ import annotations

from textdiff.errors import UsageError


def pick_device(name: str = "auto") -> str:
    """A torch device name from one that may be "auto": cuda before mps before cpu.

    Raises:
        UsageError: a device that this machine lacks.
    """
    import torch

    there = ["cpu"]
    there += ["mps"] if torch.backends.mps.is_available() else []
    there += ["cuda"] if torch.cuda.is_available() else []
    if name == "auto":
        return there[-1]
    kind, _, number = name.partition(":")
    count = torch.cuda.device_count() if kind == "cuda" else 1
    if kind not in there or (number and (not number.isdigit() or int(number) >= count)):
        raise UsageError(f"--device {name} is not on this machine; there is {', '.join(there)}")
    return name
