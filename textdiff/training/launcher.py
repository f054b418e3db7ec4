"""Whether what launched this process is still there.

    accelerate launch ──► this process                                    one process
    accelerate launch ──► torch's launcher ──► this process and others    several, see `launch`

`accelerate launch` passes no signal on: one sent to it alone ends it, and the training goes on.
A process that was started by hand may well outlive its shell (nohup, disown).
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

LAUNCHED = ("ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID")  # set by accelerate, by torch
FIRST = "TEXTDIFF_LAUNCHER"  # process id of the accelerate that started torch's launcher
PAUSE = 0.5  # seconds between two looks


class Launchers:
    """The processes that launched this one, none where nothing did."""

    def __init__(self) -> None:
        import psutil

        self._watched: list[psutil.Process] = []
        self._looked, self._gone = time.monotonic(), False
        for number in _launchers():
            try:
                self._watched.append(psutil.Process(number))
            except psutil.NoSuchProcess:
                self._gone = True

    def gone(self) -> bool:
        """Whether one of them has ended; looks again after half a second at the earliest."""
        now = time.monotonic()
        if not self._gone and now - self._looked >= PAUSE:
            self._looked = now
            self._gone = any(map(_has_ended, self._watched))
        return self._gone


def _launchers() -> set[int]:
    if not any(name in os.environ for name in LAUNCHED):
        return set()
    return {os.getppid(), *(int(os.environ[name]) for name in (FIRST,) if name in os.environ)}


def _has_ended(process: psutil.Process) -> bool:
    """Also where nobody has asked for its exit code yet, or its number is another's now."""
    import psutil

    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
