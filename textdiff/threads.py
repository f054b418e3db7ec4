"""How many threads share the work of one operation on the CPU: as many as there are cores free.

    --train.threads  >  OMP_NUM_THREADS, MKL_NUM_THREADS  >  recorded  >  measured

Threads meet at the end of every operation. One that shares its core with another program keeps all
others waiting, so that one thread too many costs more than one too few: on two cores beside one
busy process the quickstart's step took 668 ms with two threads and 203 ms with one (alone 142 to
189 and 218 to 267).

Sums are split among threads, so that bits depend on their number: what must come out the same
records it.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from textdiff.cores import Cores, measure_cores

VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
HELD = 0.4  # of a core that others may hold before a thread of ours on it costs more than it gains


@dataclass(frozen=True)
class Threads:
    """How many, and why: after the number in brackets."""

    number: int
    why: str

    def __str__(self) -> str:
        return f"CPU threads: {self.number} ({self.why})"


def fitting_threads(cores: Cores, processes: int = 1) -> int:
    """Of each of `processes` that share the free cores; at least one."""
    return max(1, min(math.floor(cores.free / processes + HELD), cores.allowed // processes))


def choose_threads(
    *,
    asked: int | None = None,
    variable: tuple[str, int] | None = None,
    recorded: int | None = None,
    processes: int = 1,
    measure: Callable[[], Cores] = measure_cores,
) -> Threads:
    """The first that is given of `asked`, `variable` (name and number of threads) and `recorded`,
    else as many as fit. A recorded number beyond the cores that may be used is of another machine.
    """
    if asked is not None:
        return Threads(asked, f"--train.threads{_unlike(recorded, asked)}")
    if variable is not None:
        name, number = variable
        return Threads(number, f"{name}{_unlike(recorded, number)}")
    cores = measure()
    number, free = fitting_threads(cores, processes), str(cores)
    if processes > 1:
        free += f" for {processes} processes"
    if recorded is None:
        return Threads(number, free)
    if recorded * processes > max(cores.allowed, processes):
        return Threads(number, f"{free}{_unlike(recorded, number)}")
    if recorded > number:
        return Threads(
            recorded,
            f"as before, for the same bits; but {free}: expect it to be slow; "
            f"OMP_NUM_THREADS={number} is quicker and rounds otherwise",
        )
    return Threads(recorded, "as before, for the same bits")


def _unlike(recorded: int | None, number: int) -> str:
    return "" if recorded in (None, number) else f"; {recorded} before, so it rounds otherwise"


def use_threads(threads: Threads) -> None:
    """From now on, in this process."""
    import torch

    if threads.number != torch.get_num_threads():
        torch.set_num_threads(threads.number)


def threads_on(device: str) -> int | None:
    """How many compute there, on which the bits depend; None on a GPU."""
    import torch

    return torch.get_num_threads() if device.startswith("cpu") else None


def settle_threads(device: str, recorded: int | None = None) -> None:
    """On a CPU: chooses how many threads this process computes with from now on, and says so
    on stderr.

    Args:
        recorded: the number with which the same was computed before.
    """
    if device.startswith("cpu"):
        threads = choose_threads(variable=variable_of_user(), recorded=recorded)
        use_threads(threads)
        print(threads, file=sys.stderr)


def variable_of_user() -> tuple[str, int] | None:
    """The environment's variable for threads, if the user set one, and what torch made of it."""
    import torch

    names = [name for name in VARIABLES if os.environ.get(name) and not set_by_launcher(name)]
    return (names[0], torch.get_num_threads()) if names else None


def set_by_launcher(name: str) -> bool:
    """Whether `accelerate launch` or torchrun set the variable on its own account, as both do with
    OMP_NUM_THREADS where it is not set: to 1, whatever the cores. The launcher then was started
    without, and not with accelerate's flag for it."""
    launched = {"ACCELERATE_MIXED_PRECISION", "LOCAL_WORLD_SIZE"} & os.environ.keys()
    if name not in os.environ or not launched:
        return False
    import psutil

    try:
        launcher = psutil.Process(os.getppid())
        return by_launcher(name, launcher.environ(), launcher.cmdline())
    except (psutil.Error, OSError):
        return False


def by_launcher(name: str, environment: Mapping[str, str], arguments: list[str]) -> bool:
    """The same of a launcher that was started in `environment` with `arguments`."""
    flags = [word.split("=", 1)[0].replace("-", "_") for word in arguments]
    return name not in environment and "__num_cpu_threads_per_process" not in flags
