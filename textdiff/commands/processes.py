"""A command in a process of its own, or in several that train together as torchrun's would.

torchrun itself would turn every exit code into 1 and every error into a page of its own frames.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time

GRACE = 10.0  # seconds


def run_step(command: list[str], processes: int = 1) -> int:
    """Runs a step to its end, in so many processes that train together, and returns its exit code:
    the first that is not 0, at which the others are ended.

    Signals are the step's to handle: training saves a checkpoint first.
    """
    ranks = [subprocess.Popen(command, env=environment) for environment in environments(processes)]

    def pass_on(number: int, _frame: object) -> None:
        if number != signal.SIGINT:  # the terminal sends Ctrl-C to all by itself
            for process in ranks:
                process.send_signal(number)

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")  # the latter two: not on Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    previous = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        return first_failure(ranks)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def environments(processes: int) -> list[dict[str, str] | None]:
    """Of each, as torchrun sets it; None, as it is, of one alone."""
    if processes == 1:
        return [None]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    count = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    return [{**os.environ, **count, **place, **rank} for rank in ranks]


def first_failure(ranks: list[subprocess.Popen[bytes]]) -> int:
    """0 once all have ended well; else the first other exit code, once the rest have ended too."""
    while None in (codes := [process.poll() for process in ranks]):
        if any(codes):
            end(ranks)
            return next(code for code in codes if code)
        time.sleep(0.05)
    return next((code for code in codes if code), 0)


def end(ranks: list[subprocess.Popen[bytes]]) -> None:
    """Those that got the same signal end by themselves; the others wait for one that has gone."""
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and any(process.poll() is None for process in ranks):
        time.sleep(0.05)
    for process in ranks:
        if process.poll() is None:
            process.kill()
        process.wait()
