"""Processes that read data: they outlive no main process, and leave stop signals to it.

`timeout`, systemd, SLURM and a closed terminal send their signal to every process of a job. Only
the main one can save a checkpoint, and it still needs its workers for the step that it is in.

    main    blocks STOP_SIGNALS ──► starts workers ──► unblocks them
    worker  is born with them blocked ──► ignores them (`start_worker`) ──► ends with its parent
"""

from __future__ import annotations

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader

from textdiff.stopping import STOP_SIGNALS

T = TypeVar("T")

PR_SET_PDEATHSIG = 1  # prctl(2): the signal for when the parent ends


def start_worker(worker: int, parent: int) -> None:
    """What a worker does before anything else; `parent`: the main process's id."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # those that came while blocked are dropped too
    _end_with(parent)
    # Decoding is one image at a time: threads of several workers would only fight for cores.
    torch.set_num_threads(1)


def _end_with(parent: int) -> None:
    """torch's own watch takes whoever is the parent at its first look for the main process: a
    worker whose main process was gone by then stayed for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Processes started inside are born with STOP_SIGNALS blocked; ours arrive afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        # Not with the first worker, as it unblocks SIGINT and SIGTERM; the others would kill it
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextmanager
def results_of(loader: DataLoader[T]) -> Iterator[Iterator[T]]:
    """What the workers of `loader` yield. Those that still run in the end are killed: they ignore
    the SIGTERM that multiprocessing would send them at exit, and wait for."""
    before = set(multiprocessing.active_children())
    with signals_blocked():
        results: Any = iter(loader)
    workers = set(multiprocessing.active_children()) - before

    def kill() -> None:
        for process in workers:
            if process.is_alive():
                process.kill()

    atexit.register(kill)
    try:
        yield results
    finally:
        results._shutdown_workers()  # as its __del__ does, which a traceback may put off
        kill()
        atexit.unregister(kill)
