"""Whether what launched this process is still there.

    accelerate launch ──► this process                                    one process
    accelerate launch ──► torch's launcher ──► this process and others    several, see `launch`

`accelerate launch` passes no signal on: one sent to it alone ends it, and the training goes on.
A process that was started by hand may well outlive its shell (nohup, disown).
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from textdiff.stopping import interrupt

if TYPE_CHECKING:
    import psutil

LAUNCHED = ("ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID")  # set by accelerate, by torch
FIRST = "TEXTDIFF_LAUNCHER"  # process id of the accelerate that started torch's launcher
# as they stand in a command line, without folders; variables alone say little: a shell passes on
# those that it was started with
NAMES = frozenset(
    {
        *("accelerate", "accelerate-launch", "accelerate.commands.launch", "launch.py"),
        *("torchrun", "torch.distributed.run", "torch.distributed.launch"),
    }
)
PAUSE = 0.5  # seconds between two looks


class Launchers:
    """The processes that launched this one, none where nothing did; those that were there when
    `watch_launchers` was called, if it was."""

    def __init__(self) -> None:
        noted = _Noted.processes
        self._watched = _launchers() if noted is None else noted
        self._looked, self._gone = time.monotonic(), False

    def gone(self) -> bool:
        """Whether one of them has ended; looks again after half a second at the earliest."""
        now = time.monotonic()
        if not self._gone and now - self._looked >= PAUSE:
            self._looked = now
            self._gone = any(process is None or _has_ended(process) for process in self._watched)
        return self._gone


class _Noted:
    """processes: launchers as `watch_launchers` met them; None: it was not called. watched: whether
    their end is to interrupt."""

    processes: list[psutil.Process | None] | None = None
    watched = threading.Event()


def watch_launchers() -> None:
    """From now on their end interrupts the main thread as a signal does, see `textdiff.stopping`;
    and `Launchers` are those of now: of one that has gone nothing can be asked."""
    _Noted.processes = _launchers()
    if not _Noted.processes:
        return
    launchers = Launchers()
    _Noted.watched.set()

    def watch() -> None:
        while _Noted.watched.is_set():
            if launchers.gone() and interrupt():  # where it is no use, the loop looks itself
                return
            time.sleep(PAUSE)

    threading.Thread(target=watch, name="launchers", daemon=True).start()


def unwatch_launchers() -> None:
    """Their end interrupts no more: the training ends already."""
    _Noted.watched.clear()


def is_launcher(command_line: list[str]) -> bool:
    """Whether a process of these arguments is one."""
    return any(word.rsplit("/", 1)[-1] in NAMES for word in command_line)


def _launchers() -> list[psutil.Process | None]:
    """The nearest ancestor that is one, and the first of two; None: it has gone already."""
    import psutil

    if not any(name in os.environ for name in LAUNCHED):
        return []
    found: list[psutil.Process | None] = []
    try:
        parent: psutil.Process | None = psutil.Process(os.getppid())
        while parent is not None and not is_launcher(parent.cmdline()):
            parent = parent.parent()
        found += [parent] if parent is not None else []
    except psutil.Error:
        pass  # what is between has gone, or is not ours to ask
    if FIRST in os.environ:
        try:
            found.append(psutil.Process(int(os.environ[FIRST])))
        except psutil.NoSuchProcess:
            found.append(None)
    return found


def _has_ended(process: psutil.Process) -> bool:
    """Also where nobody has asked for its exit code yet, or its number is another's now."""
    import psutil

    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
