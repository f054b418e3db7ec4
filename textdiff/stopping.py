"""Signals that ask a command to end, and what they interrupt.

    SIGINT, SIGTERM, SIGHUP, SIGUSR1 ──► `Interrupted`, in the main thread ──► what is staged or
    locked goes, as with any error ──► exit code 128 + the signal

A training stands in for that while it has steps to save, see `textdiff.training.signals`.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# SLURM can be asked for USR1 before its time limit, a closed terminal sends HUP; not on Windows
STOP_SIGNALS = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if hasattr(signal, name)
)
# `timeout` sends its signal to its child and to the group, so that one request comes twice
ONE_REQUEST = 2.0  # seconds
IMPATIENT = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal arrived. No Exception, so that nobody on the way takes it for a failure of his."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Requests:
    """The handler of STOP_SIGNALS within a block: `first` is called with the first that arrives.

    A second SIGINT or SIGTERM, two seconds later or more, does what it did before the block.

    Args:
        interrupting: whether `first` would raise `Interrupted` now.
    """

    def __init__(self, first: Callable[[int], None], interrupting: Callable[[], bool]) -> None:
        self._first, self.interrupting = first, interrupting
        self._since: float | None = None
        self._previous = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self._first(number)
        elif number in IMPATIENT and now - self._since >= ONE_REQUEST:
            self._restore(signal.Signals(number))
            signal.raise_signal(number)

    def install(self) -> None:
        for number, handler in self._previous.items():
            if number in IMPATIENT or handler is not signal.SIG_IGN:  # nohup ignores SIGHUP
                signal.signal(number, self)

    def remove(self) -> None:
        for number in self._previous:
            self._restore(number)

    def _restore(self, number: signal.Signals) -> None:
        handler = self._previous[number]  # None: one that was not set by Python, and is lost
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def handled(first: Callable[[int], None], interrupting: Callable[[], bool]) -> Iterator[None]:
    """STOP_SIGNALS call `first`, see `Requests`. Does nothing outside the main thread, which alone
    can have handlers."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    requests = Requests(first, interrupting)
    requests.install()
    try:
        yield
    finally:
        requests.remove()


def _raise(number: int) -> None:
    raise Interrupted(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """STOP_SIGNALS raise `Interrupted` inside the block."""
    with handled(_raise, lambda: True):
        yield


def interrupt() -> bool:
    """Raises `Interrupted` in the main thread, from another one, if a signal would now. Returns
    whether it would."""
    requests = signal.getsignal(signal.SIGTERM)
    if not isinstance(requests, Requests) or not requests.interrupting():
        return False
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    return True
