"""Signals as a flag that is read between steps, so that a checkpoint can be saved.

    a step, a save   a signal sets the flag
    an evaluation    it is given up, see `Stop.interruptible`, also by a signal that came after the
                     last look at the flag; a resumed run makes it

So is the end of `accelerate launch`, which keeps the signals that it gets to itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from textdiff.errors import StoppedBySignalError
from textdiff.stopping import Interrupted, handled
from textdiff.training.launcher import Launchers, unwatch_launchers


class Stop:
    """What asks to stop. signalled: whether a signal has arrived."""

    def __init__(self) -> None:
        self.signalled = False
        self._interrupts = False
        self._missed: int | None = None  # a signal from outside `interruptible`
        self._launchers = Launchers()

    def signal(self, number: int) -> None:
        """One has arrived. Raises Interrupted, within `interruptible`."""
        self.signalled = True
        if self._interrupts:
            raise Interrupted(number)
        self._missed = number

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside the block a signal raises Interrupted, too; one from before does at once."""
        self._interrupts = True
        try:
            if self._missed is not None:
                number, self._missed = self._missed, None
                raise Interrupted(number)
            yield
        finally:
            self._interrupts = False

    @property
    def interrupts(self) -> bool:
        """Whether `signal` would raise now."""
        return self._interrupts

    @property
    def received(self) -> bool:
        """Whether anything asks."""
        return self.signalled or self._launchers.gone()

    @property
    def reason(self) -> str:
        """In words."""
        if self._launchers.gone():
            return "the end of its launcher"
        return "a signal" if self.signalled else "a signal to another process"


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """SIGINT, SIGTERM, SIGHUP and SIGUSR1 set a flag that the loop reads between steps. A second
    SIGINT or SIGTERM, two seconds after the first signal or later, ends the run. The end of a
    launcher counts as no signal: the one that comes after it is the first. A run that is stopped is
    not told of it again."""
    stop = Stop()
    with handled(stop.signal, lambda: stop.interrupts):
        try:
            yield stop
        except StoppedBySignalError:
            unwatch_launchers()
            raise
