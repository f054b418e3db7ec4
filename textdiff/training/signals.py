"""Signals as a flag that is read between steps, so that a checkpoint can be saved.

So is the end of `accelerate launch`, which keeps the signals that it gets to itself.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from textdiff.data.workers import STOP_SIGNALS
from textdiff.training.launcher import Launchers

# `timeout` sends its signal to its child and to the group, so that one request comes twice
ONE_REQUEST = 2.0  # seconds
IMPATIENT = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """What asks to stop. signalled: whether a signal has arrived."""

    def __init__(self) -> None:
        self.signalled = False
        self._launchers = Launchers()

    @property
    def received(self) -> bool:
        """Whether anything does."""
        return self.signalled or self._launchers.gone()

    @property
    def reason(self) -> str:
        """In words."""
        if self.signalled:
            return "a signal"
        if self._launchers.gone():
            return "the end of its launcher"
        return "a signal to another process"


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """SIGINT, SIGTERM, SIGHUP and SIGUSR1 set a flag that the loop reads between steps. A second
    SIGINT or SIGTERM, two seconds after the first signal or later, kills. The end of a launcher
    counts as no signal: the one that comes after it is the first."""
    stop, first = Stop(), 0.0
    previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if not stop.signalled:
            stop.signalled, first = True, now
        elif number in IMPATIENT and now - first >= ONE_REQUEST:
            signal.signal(number, previous[signal.Signals(number)])
            signal.raise_signal(number)

    for number, handler in previous.items():
        if number in IMPATIENT or handler is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
