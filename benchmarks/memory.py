"""The most memory that this process holds while it does something, kept by Linux: nothing is
sampled."""

from __future__ import annotations

from pathlib import Path

MEBIBYTE, GIBIBYTE = 2**20, 2**30
SELF = Path("/proc/self")


def forget_peak() -> int:
    """Starts the high-water mark anew; returns the bytes held now."""
    (SELF / "clear_refs").write_text("5")
    return _bytes("VmRSS")


def peak_bytes() -> int:
    """Since `forget_peak`."""
    return _bytes("VmHWM")


def _bytes(name: str) -> int:
    lines = (SELF / "status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
