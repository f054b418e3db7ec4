"""How much memory this process holds, held at most, and may hold.

Peaks are kept by the system: nothing is sampled. Linux can start its high-water mark anew
(proc(5), /proc/PID/clear_refs); elsewhere the peak is that of the whole life of the process.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from textdiff.cgroup import memory_limit

MEBIBYTE, GIBIBYTE = 2**20, 2**30
SELF = Path("/proc/self")


def forget_peak() -> int:
    """Starts the high-water mark anew where the system can; returns the bytes held now."""
    import psutil

    with contextlib.suppress(OSError):
        (SELF / "clear_refs").write_text("5")
    return int(psutil.Process().memory_info().rss)


def peak_bytes() -> int:
    """Held at most since `forget_peak`."""
    try:
        lines = (SELF / "status").read_text().splitlines()
    except OSError:
        return _peak_of_life()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def usable_bytes() -> int:
    """Of this machine's memory, within the limit of the container."""
    import psutil

    total, limit = int(psutil.virtual_memory().total), memory_limit()
    return total if limit is None else min(total, limit)


def _peak_of_life() -> int:
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset"))  # noqa: B009
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
